//! The little of the DNS wire format (RFC 1035, RFC 6891) that looking up addresses needs: one question out, addresses in.
//!
//! What is accepted and what is an error follows Go's `dnsmessage`, because the error decides whether the next server is asked.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The UDP payload size that we announce and read, in bytes (<https://dnsflagday.net/2020/>).
pub const MAX_DATAGRAM: usize = 1232;

/// Most compression pointers followed in one name.
const MAX_POINTERS: usize = 10;
/// Longest name in text form, with its final dot.
const MAX_NAME: usize = 254;
const CLASS_IN: u16 = 1;
const TYPE_CNAME: u16 = 5;
const TYPE_OPT: u16 = 41;

/// An address record type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Record {
    A,
    Aaaa,
}

impl Record {
    /// Its number.
    pub fn code(self) -> u16 {
        match self {
            Self::A => 1,
            Self::Aaaa => 28,
        }
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::A => "A",
            Self::Aaaa => "AAAA",
        }
    }
}

/// A question as it goes out.
#[derive(Clone, Debug)]
pub struct Query {
    id: u16,
    record: Record,
    name: String,
    message: Vec<u8>,
}

impl Query {
    /// Asks for the `record`s of `name`, which ends in a dot. `None` when it does not fit the format.
    pub fn new(id: u16, name: &str, record: Record, trust_ad: bool) -> Option<Self> {
        let recursion_desired = 0x0100_u16;
        let flags = recursion_desired | if trust_ad { 0x0020 } else { 0 };
        let mut message = Vec::with_capacity(12 + name.len() + 2 + 4 + 11);
        for word in [id, flags, 1, 0, 0, 1] {
            message.extend(word.to_be_bytes());
        }
        let relative = name.strip_suffix('.')?;
        if name.len() > MAX_NAME {
            return None;
        }
        if !relative.is_empty() {
            for label in relative.split('.') {
                let length = u8::try_from(label.len()).ok().filter(|n| (1..=63).contains(n))?;
                message.push(length);
                message.extend(label.as_bytes());
            }
        }
        message.push(0);
        message.extend(record.code().to_be_bytes());
        message.extend(CLASS_IN.to_be_bytes());
        // OPT: root name, type, our payload size, no extended code, version 0, no flags, no options.
        message.push(0);
        message.extend(TYPE_OPT.to_be_bytes());
        message.extend((MAX_DATAGRAM as u16).to_be_bytes());
        message.extend([0; 6]);
        Some(Self {
            id,
            record,
            name: name.to_owned(),
            message,
        })
    }

    /// The message, without the length that TCP puts before it.
    pub fn message(&self) -> &[u8] {
        &self.message
    }
}

/// Whether a message answers a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Match {
    /// It is no DNS message.
    Unreadable,
    /// It answers something else: a late answer, or a forgery.
    Other,
    /// It is the answer.
    Ours,
}

/// Why an answer is of no use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Flaw {
    /// NXDOMAIN: there is no such name.
    #[error("no such host")]
    NoSuchName,
    /// The name exists, but not with this record.
    #[error("no such host: the name exists, but has no {} record", .0.name())]
    NoData(Record),
    /// Neither an answer nor a server that would look for one.
    #[error("lame referral: the server does not recurse")]
    LameReferral,
    /// Any other response code.
    #[error("server misbehaving: it answered {}", code_name(*.0))]
    ResponseCode(u16),
    /// The message breaks off or contradicts itself.
    #[error("cannot unmarshal DNS message")]
    Malformed,
    /// It has not one question.
    #[error("invalid DNS response")]
    Invalid,
}

fn code_name(code: u16) -> String {
    match code {
        1 => "FORMERR".to_owned(),
        2 => "SERVFAIL".to_owned(),
        4 => "NOTIMP".to_owned(),
        5 => "REFUSED".to_owned(),
        code => format!("code {code}"),
    }
}

/// A message that came back.
#[derive(Clone, Copy, Debug)]
pub struct Reply<'a>(&'a [u8]);

impl<'a> Reply<'a> {
    /// Looks at a message.
    pub fn new(message: &'a [u8]) -> Self {
        Self(message)
    }

    /// Whether it answers `query`: same id, same question, a response.
    pub fn matches(self, query: &Query) -> Match {
        let Some(header) = self.header() else {
            return Match::Unreadable;
        };
        let mut reader = MessageReader::after_header(self.0);
        let question = (header.questions > 0).then(|| {
            let name = reader.name()?;
            Some((name, reader.u16()?, reader.u16()?))
        });
        let Some(Some((name, kind, class))) = question else {
            return Match::Unreadable;
        };
        let same = header.is_response
            && header.id == query.id
            && kind == query.record.code()
            && class == CLASS_IN
            && name.eq_ignore_ascii_case(query.name.as_bytes());
        if same { Match::Ours } else { Match::Other }
    }

    /// Whether the server had more to say than fitted.
    pub fn is_truncated(self) -> bool {
        self.header().is_some_and(|h| h.is_truncated)
    }

    /// The addresses of a matching answer to a question for `record`, in the server's order; those before a record that
    /// cannot be read count.
    ///
    /// Aliases need no following: a recursive server puts the records of the canonical name into the same answer
    /// (RFC 1034, section 4.3.1).
    ///
    /// # Errors
    /// The answer is a refusal, empty, or broken.
    pub fn addresses(self, record: Record) -> Result<Vec<IpAddr>, Flaw> {
        let header = self.header().ok_or(Flaw::Malformed)?;
        if header.questions != 1 {
            return Err(Flaw::Invalid);
        }
        let mut reader = MessageReader::after_header(self.0);
        reader.question().ok_or(Flaw::Malformed)?;
        let (code, has_additional) = extended_code(reader, &header);
        if code == 3 {
            return Err(Flaw::NoSuchName);
        }
        if header.answers > 0 && reader.clone().record_header().is_none() {
            return Err(Flaw::Malformed);
        }
        let nobody = !header.is_authoritative && !header.recursion_available;
        match code {
            0 if nobody && header.answers == 0 && !has_additional => return Err(Flaw::LameReferral),
            0 => {}
            _ => return Err(Flaw::ResponseCode(code)),
        }
        collect(reader, header.answers, record)
    }

    /// The name that the answer's last alias leads to.
    pub fn alias(self) -> Option<String> {
        let answers = self.header()?.answers;
        let mut reader = MessageReader::after_header(self.0);
        reader.question()?;
        let mut alias = None;
        for _ in 0..answers {
            let mut data = reader;
            let header = data.record_header()?;
            if header.kind == TYPE_CNAME {
                alias = Some(String::from_utf8_lossy(&data.name()?).into_owned());
            }
            reader.skip_record()?;
        }
        alias
    }

    /// The least TTL of the records of the answer section, in seconds.
    pub fn least_ttl(self) -> Option<u32> {
        let answers = self.header()?.answers;
        let mut reader = MessageReader::after_header(self.0);
        reader.question()?;
        let mut least = None;
        for _ in 0..answers {
            let ttl = reader.clone().record_header()?.ttl;
            reader.skip_record()?;
            least = Some(least.map_or(ttl, |least: u32| least.min(ttl)));
        }
        least
    }

    fn header(self) -> Option<Header> {
        let mut reader = MessageReader {
            message: self.0,
            at: 0,
        };
        let (id, flags) = (reader.u16()?, reader.u16()?);
        Some(Header {
            id,
            is_response: flags & 0x8000 != 0,
            is_authoritative: flags & 0x0400 != 0,
            is_truncated: flags & 0x0200 != 0,
            recursion_available: flags & 0x0080 != 0,
            code: flags & 0x000f,
            questions: reader.u16()?,
            answers: reader.u16()?,
            authorities: reader.u16()?,
            additionals: reader.u16()?,
        })
    }
}

fn collect(mut reader: MessageReader<'_>, count: u16, record: Record) -> Result<Vec<IpAddr>, Flaw> {
    let mut addresses = Vec::new();
    let mut seen_wanted = false;
    for _ in 0..count {
        let readable = reader.record_header().and_then(|header| {
            seen_wanted |= header.kind == record.code();
            let end = reader.at + usize::from(header.length);
            match header.kind {
                // Until the first record of the wanted type, data is skipped unread.
                _ if !seen_wanted => (end <= reader.message.len()).then_some(())?,
                1 => addresses.push(Ipv4Addr::from(reader.bytes::<4>()?).into()),
                28 => addresses.push(Ipv6Addr::from(reader.bytes::<16>()?).to_canonical()),
                TYPE_CNAME => reader.name().map(|_| ())?,
                _ => (end <= reader.message.len()).then_some(())?,
            }
            reader.at = end;
            Some(())
        });
        if readable.is_none() {
            return if addresses.is_empty() {
                Err(Flaw::Malformed)
            } else {
                Ok(addresses)
            };
        }
    }
    if !seen_wanted {
        return Err(Flaw::NoData(record));
    }
    Ok(addresses)
}

/// The response code with the upper bits that an OPT record adds (RFC 6891, section 6.1.3), and whether there is any
/// additional record before it.
fn extended_code(mut reader: MessageReader<'_>, header: &Header) -> (u16, bool) {
    for _ in 0..u32::from(header.answers) + u32::from(header.authorities) {
        if reader.skip_record().is_none() {
            return (header.code, false);
        }
    }
    let mut has_additional = false;
    for _ in 0..header.additionals {
        let Some(record) = reader.record_header() else {
            break;
        };
        has_additional = true;
        if record.kind == TYPE_OPT {
            let [extended, version, ..] = record.ttl.to_be_bytes();
            let upper = if version == 0 { u16::from(extended) << 4 } else { 0 };
            return (upper | header.code, true);
        }
        reader.at += usize::from(record.length);
    }
    (header.code, has_additional)
}

#[derive(Debug)]
struct Header {
    id: u16,
    is_response: bool,
    is_authoritative: bool,
    is_truncated: bool,
    recursion_available: bool,
    code: u16,
    questions: u16,
    answers: u16,
    authorities: u16,
    additionals: u16,
}

struct RecordHeader {
    kind: u16,
    ttl: u32,
    length: u16,
}

#[derive(Clone, Copy)]
struct MessageReader<'a> {
    message: &'a [u8],
    at: usize,
}

impl<'a> MessageReader<'a> {
    fn after_header(message: &'a [u8]) -> Self {
        Self { message, at: 12 }
    }

    fn bytes<const N: usize>(&mut self) -> Option<[u8; N]> {
        let bytes = self.message.get(self.at..)?.first_chunk::<N>()?;
        self.at += N;
        Some(*bytes)
    }

    fn u16(&mut self) -> Option<u16> {
        self.bytes().map(u16::from_be_bytes)
    }

    fn question(&mut self) -> Option<()> {
        self.skip_name()?;
        self.bytes::<4>().map(|_| ())
    }

    /// A name in text form, with its final dot.
    fn name(&mut self) -> Option<Vec<u8>> {
        let mut name = Vec::with_capacity(32);
        let (mut at, mut end, mut pointers) = (self.at, None, 0);
        loop {
            let length = *self.message.get(at)?;
            at += 1;
            match length & 0xc0 {
                0x00 if length == 0 => break,
                0x00 => {
                    let label = self.message.get(at..at + usize::from(length))?;
                    if label.contains(&b'.') {
                        return None;
                    }
                    name.extend(label);
                    name.push(b'.');
                    at += usize::from(length);
                }
                0xc0 => {
                    let low = *self.message.get(at)?;
                    end.get_or_insert(at + 1);
                    pointers += 1;
                    if pointers > MAX_POINTERS {
                        return None;
                    }
                    at = usize::from(length & 0x3f) << 8 | usize::from(low);
                }
                _ => return None,
            }
            if name.len() > MAX_NAME {
                return None;
            }
        }
        if name.is_empty() {
            name.push(b'.');
        }
        self.at = end.unwrap_or(at);
        Some(name)
    }

    fn skip_name(&mut self) -> Option<()> {
        loop {
            let length = *self.message.get(self.at)?;
            self.at += 1;
            match length & 0xc0 {
                0x00 if length == 0 => return Some(()),
                0x00 => self.at += usize::from(length),
                0xc0 => {
                    self.at += 1;
                    return Some(());
                }
                _ => return None,
            }
        }
    }

    fn record_header(&mut self) -> Option<RecordHeader> {
        self.name()?;
        let kind = self.u16()?;
        let _class = self.u16()?;
        let ttl = self.bytes().map(u32::from_be_bytes)?;
        let length = self.u16()?;
        Some(RecordHeader { kind, ttl, length })
    }

    fn skip_record(&mut self) -> Option<()> {
        self.skip_name()?;
        self.bytes::<8>()?;
        let length = self.u16()?;
        self.at += usize::from(length);
        (self.at <= self.message.len()).then_some(())
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// An answer to `query` with records `(type, data)` of its name.
    pub fn answer(query: &[u8], code: u16, records: &[(u16, Vec<u8>)]) -> Vec<u8> {
        let question_end = query.len() - 11;
        let mut out = query[..2].to_vec();
        out.extend((0x8180 | code).to_be_bytes());
        for count in [1, records.len() as u16, 0, 0] {
            out.extend(count.to_be_bytes());
        }
        out.extend(&query[12..question_end]);
        for (kind, data) in records {
            out.extend([0xc0, 12]);
            out.extend(kind.to_be_bytes());
            out.extend([0, 1, 0, 0, 0, 60]);
            out.extend((data.len() as u16).to_be_bytes());
            out.extend(data);
        }
        out
    }

    fn query() -> Query {
        Query::new(0x1234, "v4.test.", Record::A, false).unwrap()
    }

    #[test]
    fn a_question_is_recursive_and_has_an_opt_record() {
        assert_eq!(
            query().message(),
            b"\x12\x34\x01\x00\0\x01\0\0\0\0\0\x01\x02v4\x04test\0\0\x01\0\x01\0\0\x29\x04\xd0\0\0\0\0\0\0"
        );
        let rows = [
            (".", true),
            ("a.", true),
            ("a", false),
            ("a..b.", false),
            ("", false),
        ];
        for (name, fits) in rows {
            assert_eq!(Query::new(1, name, Record::A, false).is_some(), fits, "{name:?}");
        }
        assert!(Query::new(1, &format!("{}.", "a".repeat(64)), Record::A, false).is_none());
    }

    #[test]
    fn only_the_answer_to_our_question_matches() {
        let query = query();
        let good = answer(query.message(), 0, &[(1, vec![127, 0, 0, 1])]);
        assert_eq!(Reply::new(&good).matches(&query), Match::Ours);
        let mut other_id = good.clone();
        other_id[0] ^= 1;
        let mut no_response = good.clone();
        no_response[2] = 0x01;
        let mut other_name = good.clone();
        other_name[14] = b'5';
        let mut upper = good.clone();
        upper[13] = b'V';
        for (what, message, want) in [
            ("other id", other_id, Match::Other),
            ("no response", no_response, Match::Other),
            ("other name", other_name, Match::Other),
            ("case of the name", upper, Match::Ours),
            ("too short", good[..11].to_vec(), Match::Unreadable),
            ("no question", good[..14].to_vec(), Match::Unreadable),
        ] {
            assert_eq!(Reply::new(&message).matches(&query), want, "{what}");
        }
    }

    #[test]
    fn answers_are_judged_as_go_does() {
        let query = query();
        let alias = (5, b"\x01x\xc0\x0f".to_vec());
        let home = (1, vec![127, 0, 0, 1]);
        let short = (1, vec![127, 0]);
        let found = |ips: &[&str]| Ok(ips.iter().map(|ip| ip.parse().unwrap()).collect());
        #[rustfmt::skip]
        let rows = [
            ("address", 0, vec![home.clone()], found(&["127.0.0.1"])),
            ("alias first", 0, vec![alias.clone(), home.clone()], found(&["127.0.0.1"])),
            ("alias only", 0, vec![alias], Err(Flaw::NoData(Record::A))),
            ("nothing", 0, vec![], Err(Flaw::NoData(Record::A))),
            ("nxdomain", 3, vec![], Err(Flaw::NoSuchName)),
            ("servfail", 2, vec![], Err(Flaw::ResponseCode(2))),
            ("refused", 5, vec![home.clone()], Err(Flaw::ResponseCode(5))),
            ("short data", 0, vec![short.clone()], Err(Flaw::Malformed)),
            ("short behind good", 0, vec![home.clone(), short], found(&["127.0.0.1"])),
            ("other type", 0, vec![(16, vec![0])], Err(Flaw::NoData(Record::A))),
        ];
        for (what, code, records, want) in rows {
            let message = answer(query.message(), code, &records);
            assert_eq!(Reply::new(&message).addresses(Record::A), want, "{what}");
        }
        let mut lame = answer(query.message(), 0, &[]);
        lame[3] = 0;
        assert_eq!(Reply::new(&lame).addresses(Record::A), Err(Flaw::LameReferral));
        let mut badvers = answer(query.message(), 0, &[]);
        badvers[11] = 1;
        badvers.extend(b"\0\0\x29\x04\xd0\x01\0\0\0\0\0");
        assert_eq!(
            Reply::new(&badvers).addresses(Record::A),
            Err(Flaw::ResponseCode(16))
        );
        let mapped = answer(
            query.message(),
            0,
            &[(28, vec![0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 127, 0, 0, 2])],
        );
        assert_eq!(Reply::new(&mapped).addresses(Record::Aaaa), found(&["127.0.0.2"]));
    }

    proptest::proptest! {
        #[test]
        fn no_message_makes_it_panic(mut message in proptest::collection::vec(0_u8.., 0..600), plausible: bool) {
            let query = query();
            if plausible {
                let mut good = answer(query.message(), 0, &[(1, vec![127, 0, 0, 1])]);
                good.append(&mut message);
                good[7] = 9;
                message = good;
            }
            let reply = Reply::new(&message);
            let _ = (reply.matches(&query), reply.is_truncated(), reply.addresses(Record::A));
        }
    }
}
