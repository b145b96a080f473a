//! Answers: the header and the three sections of a DNS message.

use std::fmt;

use super::edns;
use super::record::{Record, types};
use super::wire::{Cursor, Malformed};
use crate::names::{class_name, rcode_name, type_name, type_number};

/// Octets of a header.
const HEADER: usize = 12;

/// The bits of the header that have a meaning here, by the names dig gives them.
const FLAGS: [(u16, &str); 8] = [
    (1 << 15, "qr"),
    (1 << 10, "aa"),
    (1 << 9, "tc"),
    (1 << 8, "rd"),
    (1 << 7, "ra"),
    (1 << 6, "z"),
    (1 << 5, "ad"),
    (1 << 4, "cd"),
];

/// The opcode of a dynamic update (RFC 2136), whose sections have other names.
const UPDATE: u16 = 5;

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The identifier of the query it belongs to.
    pub id: u16,
    /// The second half of the header's first four octets: flags, opcode and rcode.
    bits: u16,
    /// The response code, with the upper bits that the OPT record has.
    pub rcode: u16,
    questions: Vec<Question>,
    /// The records of the answer section.
    pub answer: Vec<Record>,
    /// The records of the authority section.
    pub authority: Vec<Record>,
    /// The records of the additional section, OPT among them.
    pub additional: Vec<Record>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Question {
    name: Vec<u8>,
    qtype: u16,
    class: u16,
}

/// Why a message cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// It is shorter than a header.
    #[error("the response has {octets} octets, fewer than the {HEADER} of a header")]
    Short {
        /// Octets that came.
        octets: usize,
    },
    /// An entry of a section cannot be read.
    #[error("the answer cannot be read: {section} {entry}: {reason}")]
    Malformed {
        /// The section.
        section: &'static str,
        /// Which of its entries, from 1.
        entry: usize,
        /// What is wrong with it.
        reason: Malformed,
    },
    /// It is signed with a key that nobody has configured.
    #[error("the response has a TSIG signature, and there is no key to verify it with")]
    Signed,
}

impl Message {
    /// Reads an answer as miekg/dns does: counts that promise more than there is are forgiven where a section ends with
    /// the message, octets behind the last record are ignored, and a message that is nothing but a header is empty.
    ///
    /// # Errors
    /// A question or record that cannot be read spoils the whole message.
    pub fn read(octets: &[u8]) -> Result<Self, ReadError> {
        let mut cursor = Cursor::new(octets);
        let (id, bits, counts) =
            header(&mut cursor).map_err(|_| ReadError::Short { octets: octets.len() })?;
        let mut message = Self {
            id,
            bits,
            rcode: bits & 15,
            questions: Vec::new(),
            answer: Vec::new(),
            authority: Vec::new(),
            additional: Vec::new(),
        };
        if cursor.is_at_end() {
            return Ok(message);
        }
        let [questions, answers, authorities, additionals] = counts;
        for entry in 1..=usize::from(questions) {
            let question = question(&mut cursor).map_err(|reason| ReadError::Malformed {
                section: "question",
                entry,
                reason,
            })?;
            message.questions.push(question);
        }
        message.answer = records(&mut cursor, "answer record", answers)?;
        message.authority = records(&mut cursor, "authority record", authorities)?;
        message.additional = records(&mut cursor, "additional record", additionals)?;
        let opt = message
            .additional
            .iter()
            .rev()
            .find(|record| record.header.rtype == types::OPT);
        message.rcode |= opt.map_or(0, |record| edns::extended_rcode(&record.header));
        match message.additional.last() {
            Some(last) if last.header.rtype == types::TSIG => Err(ReadError::Signed),
            _ => Ok(message),
        }
    }

    /// Whether the server speaks for the zone.
    pub fn is_authoritative(&self) -> bool {
        self.bits & 1 << 10 != 0
    }

    /// Whether the server had more to say than fitted.
    pub fn is_truncated(&self) -> bool {
        self.bits & 1 << 9 != 0
    }

    /// Whether the server asks others.
    pub fn recurses(&self) -> bool {
        self.bits & 1 << 7 != 0
    }

    /// Whether the server has verified the records (DNSSEC).
    pub fn is_authentic(&self) -> bool {
        self.bits & 1 << 5 != 0
    }

    /// Whether the server repeats that DNSSEC records are wanted.
    pub fn is_dnssec_ok(&self) -> bool {
        let is_opt = |record: &&Record| record.header.rtype == types::OPT;
        let opt = self.additional.iter().rev().find(is_opt);
        opt.is_some_and(|record| record.header.ttl & 0x8000 != 0)
    }

    /// The response code and how many records there are, for the pictures.
    pub fn summary(&self) -> String {
        let code = rcode_name(self.rcode).map_or_else(|| format!("rcode {}", self.rcode), str::to_owned);
        let counts =
            [self.answer.len(), self.authority.len(), self.additional.len()].map(|count| count.to_string());
        format!("{code}, records {}", counts.join(" + "))
    }
}

fn header(cursor: &mut Cursor<'_>) -> Result<(u16, u16, [u16; 4]), Malformed> {
    let (id, bits) = (cursor.u16()?, cursor.u16()?);
    Ok((
        id,
        bits,
        [cursor.u16()?, cursor.u16()?, cursor.u16()?, cursor.u16()?],
    ))
}

/// A question may end behind its name or its type if the message ends there.
fn question(cursor: &mut Cursor<'_>) -> Result<Question, Malformed> {
    let mut question = Question {
        name: Vec::new(),
        qtype: 0,
        class: 0,
    };
    cursor.name(&mut question.name)?;
    if !cursor.is_at_end() {
        question.qtype = cursor.u16()?;
    }
    if !cursor.is_at_end() {
        question.class = cursor.u16()?;
    }
    Ok(question)
}

/// The count is the sender's word: room is only made for records that came.
fn records(cursor: &mut Cursor<'_>, section: &'static str, count: u16) -> Result<Vec<Record>, ReadError> {
    let mut records = Vec::new();
    for entry in 1..=usize::from(count) {
        if cursor.is_at_end() {
            break;
        }
        let record = Record::read(cursor).map_err(|reason| ReadError::Malformed {
            section,
            entry,
            reason,
        })?;
        records.push(record);
    }
    Ok(records)
}

/// The message as dig shows it.
impl fmt::Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let opcode = self.bits >> 11 & 15;
        let is_update = opcode == UPDATE;
        let opcode = ["QUERY", "IQUERY", "STATUS", "", "NOTIFY", "UPDATE"]
            .get(usize::from(opcode))
            .unwrap_or(&"");
        let status = rcode_name(self.rcode).unwrap_or("");
        write!(
            f,
            ";; opcode: {opcode}, status: {status}, id: {}\n;; flags:",
            self.id
        )?;
        for (_, name) in FLAGS.iter().filter(|(bit, _)| self.bits & bit != 0) {
            write!(f, " {name}")?;
        }
        // Names in the counts and in the headings.
        let [questions, answer, authority] = match is_update {
            true => [("ZONE", "ZONE"), ("PREREQ", "PREREQUISITE"), ("UPDATE", "UPDATE")],
            false => [
                ("QUERY", "QUESTION"),
                ("ANSWER", "ANSWER"),
                ("AUTHORITY", "AUTHORITY"),
            ],
        };
        let sections = [
            (answer, &self.answer),
            (authority, &self.authority),
            (("ADDITIONAL", "ADDITIONAL"), &self.additional),
        ];
        write!(f, "; {}: {}", questions.0, self.questions.len())?;
        for ((name, _), records) in sections {
            write!(f, ", {name}: {}", records.len())?;
        }
        writeln!(f)?;
        let is_opt = |record: &&Record| record.header.rtype == types::OPT;
        let opt = self.additional.iter().rev().find(is_opt);
        if let Some(opt) = opt {
            writeln!(f, "{}", String::from_utf8_lossy(&opt.text))?;
        }
        if !self.questions.is_empty() {
            writeln!(f, "\n;; {} SECTION:", questions.1)?;
        }
        for Question { name, qtype, class } in &self.questions {
            write!(f, ";{}\t", String::from_utf8_lossy(name))?;
            match class_name(*class).filter(|name| type_number(name).is_none()) {
                Some(class) => write!(f, "{class}\t ")?,
                None => write!(f, "CLASS{class}\t ")?,
            }
            match type_name(*qtype) {
                Some(name) => writeln!(f, "{name}")?,
                None => writeln!(f, "TYPE{qtype}")?,
            }
        }
        for ((_, name), records) in sections {
            let is_additional = name == "ADDITIONAL";
            // The record that was shown above has no section; with another one there is a heading, even if nothing is below it.
            if records.len() > usize::from(is_additional && opt.is_some()) {
                writeln!(f, "\n;; {name} SECTION:")?;
            }
            for record in records.iter().filter(|record| !is_additional || !is_opt(record)) {
                writeln!(f, "{}", String::from_utf8_lossy(&record.text))?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A message with one question and the given counts and octets behind it.
    fn message(counts: [u16; 3], behind: &[u8]) -> Vec<u8> {
        let mut octets = b"\x12\x34\x81\x80\x00\x01".to_vec();
        counts.iter().for_each(|count| octets.extend(count.to_be_bytes()));
        octets.extend(b"\x07example\x04test\0\x00\x01\x00\x01");
        octets.extend(behind);
        octets
    }

    /// A record of `example.test.` with TTL 300.
    fn record(rtype: u16, data: &[u8]) -> Vec<u8> {
        let mut octets = b"\xc0\x0c".to_vec();
        octets.extend(rtype.to_be_bytes());
        octets.extend(b"\x00\x01\x00\x00\x01\x2c");
        octets.extend(u16::try_from(data.len()).unwrap().to_be_bytes());
        octets.extend(data);
        octets
    }

    fn text(rtype: u16, data: &[u8]) -> Result<String, &'static str> {
        match Message::read(&message([1, 0, 0], &record(rtype, data))) {
            Ok(message) => Ok(String::from_utf8_lossy(&message.answer[0].text).into_owned()),
            Err(ReadError::Malformed { reason, .. }) => Err(reason.0),
            Err(error) => panic!("{error}"),
        }
    }

    #[test]
    fn records_read_as_miekg_prints_them() {
        // What the recorded conformance cases do not have: partial data, odd types, odd texts.
        #[rustfmt::skip]
        let rows: &[(u16, &[u8], Result<&str, &str>)] = &[
            (1, b"", Ok("A\t")),
            (1, b"\x7f\0\0", Err("a field goes beyond its end")),
            (1, b"\x7f\0\0\x01\0", Err("a record has more data than its type")),
            (15, b"", Ok("MX\t0 ")),
            (15, b"\0\x0a", Ok("MX\t10 ")),
            (33, b"\0\x01\0\x02", Ok("SRV\t1 2 0 ")),
            (6, b"\0", Ok("SOA\t.  0 0 0 0 0")),
            (13, b"\x03cpu", Ok("HINFO\t\"cpu\" \"\"")),
            (46, b"", Ok("RRSIG\tNone 0 0 0 19700101000000 19700101000000 0  ")),
            (50, b"\x01\0\0\x0a\x04", Ok("NSEC3\t1 0 10 - ")),
            (50, b"\x01\0\0\x0a\x01\xab", Err("a field goes beyond its end")),
            (45, b"\x0a\x01\x02\xc0\x00\x02\x01\x01\x02", Ok("IPSECKEY\t10 1 2 192.0.2.1 AQI=")),
            (45, b"\x0a\x01\x02", Ok("IPSECKEY\t10 1 2 <nil> ")),
            (45, b"\x0a\x03\x02\x01a\0", Ok("IPSECKEY\t10 3 2 a. ")),
            (45, b"\x0a\x00\x02\xff", Ok("IPSECKEY\t10 0 2 . /w==")),
            (260, b"\x0a\x01\xc0\x00\x02\x01", Ok("AMTRELAY\t10 0 1 192.0.2.1")),
            (260, b"\x0a\x81\xc0\x00\x02\x01", Err("a record has more data than its type")),
            (42, b"\0\x01\x15\x83\xc0\xa8\x20\0\x02\x20\x01\x20", Ok("APL\t!1:192.168.32.0/21 2:2000::/32")),
            (42, b"\0\x01\x15\x02\xc0\x00", Err("an address prefix ends in zeros")),
            (55, b"\x02\x02\0\x03\xab\xcd\x01\x02\x03\x01a\0\x01b\0", Ok("HIP\t2 abcd AQID a. b.")),
            (104, b"\0\x0a\x00\x14\x4f\xff\xff\x20\xee\x64", Ok("NID\t10 0014:4fff:ff20:ee64")),
            (106, b"\0\x0a\x20\x01\x0d\xb8\x11\x40\x10\x00", Ok("L64\t10 2001:0DB8:1140:1000")),
            (105, b"\0\x0a", Ok("L32\t10")),
            (256, b"\0\x01\0\x02a\\.\\\"\\065\\", Ok("URI\t1 2 \"a\\.\\\"A\"")),
            (31, b"\xab\xcd", Ok("EID\tABCD")),
            (128, b"", Ok("NXNAME\t")),
            (128, b"\0", Err("a record has more data than its type")),
            (65, b"\0\x01\0\0\x01\0\x04\x03a,\\", Ok("HTTPS\t1 . alpn=\"a\\\\\\044\\\\\\092\"")),
            (64, b"\0\x01\0\0\x03\0\x01\0", Err("the parameter port has not 2 octets")),
        ];
        for (rtype, data, want) in rows {
            let want = want.map(|text| format!("example.test.\t300\tIN\t{text}"));
            assert_eq!(text(*rtype, data), want, "{rtype} {data:?}");
        }
        assert_eq!(
            text(10, b"a\0b"),
            Ok(";example.test.\t300\tIN\tNULL\ta\0b".to_owned())
        );
        assert_eq!(
            text(34, b"\x01"),
            Ok("example.test.\t300\tCLASS1\tTYPE34\t\\# 1 01".to_owned())
        );
    }

    #[test]
    fn edns_reads_as_dig_prints_it() {
        let options: &[(u16, &[u8], &str)] = &[
            (3, b"ns1", "NSID: 6e7331  (n)(s)(1)"),
            (8, b"\0\x01\x18\0\xc0\0\x02", "SUBNET: 192.0.2.0/24/0"),
            (8, b"\0\x02\x20\0\x20\x01\x0d\xb8", "SUBNET: [2001:db8::]/32/0"),
            (10, b"\x01\x02", "COOKIE: 0102"),
            (11, b"\x02\x8f", "KEEPALIVE: use tcp keep-alive, timeout 65500ms"),
            (11, b"\x02\x90", "KEEPALIVE: use tcp keep-alive, timeout 64ms"),
            (15, b"\0\x16why", "EDE: 22 (No Reachable Authority): (why)"),
            (5, b"\x08\x63", "DNSSEC ALGORITHM UNDERSTOOD:  RSASHA256 99"),
            (65001, b"\xab", "LOCAL OPT: 65001:0xab"),
        ];
        for (code, octets, want) in options {
            let mut data = code.to_be_bytes().to_vec();
            data.extend(u16::try_from(octets.len()).unwrap().to_be_bytes());
            data.extend(*octets);
            let mut opt = b"\0\x00\x29\x04\xd0\x01\x00\x80\x00".to_vec();
            opt.extend(u16::try_from(data.len()).unwrap().to_be_bytes());
            opt.extend(data);
            let message = Message::read(&message([0, 0, 1], &opt)).unwrap();
            let text = String::from_utf8_lossy(&message.additional[0].text);
            assert_eq!(
                text,
                format!("\n;; OPT PSEUDOSECTION:\n; EDNS: version 0; flags: do; udp: 1232\n; {want}")
            );
            assert_eq!(message.rcode, 16);
        }
    }

    #[test]
    fn an_update_has_other_headings() {
        let records = [
            record(1, b"\x7f\0\0\x01"),
            record(1, b"\x7f\0\0\x02"),
            record(1, b"\x7f\0\0\x03"),
        ]
        .concat();
        let mut octets = message([1, 1, 1], &records);
        octets[2] = 0xa8;
        let line = |last| format!("example.test.\t300\tIN\tA\t127.0.0.{last}\n");
        assert_eq!(
            Message::read(&octets).unwrap().to_string(),
            format!(
                ";; opcode: UPDATE, status: NOERROR, id: 4660\n;; flags: qr ra; ZONE: 1, PREREQ: 1, UPDATE: 1, ADDITIONAL: 1\n\
                 \n;; ZONE SECTION:\n;example.test.\tIN\t A\n\
                 \n;; PREREQUISITE SECTION:\n{}\n;; UPDATE SECTION:\n{}\n;; ADDITIONAL SECTION:\n{}",
                line(1),
                line(2),
                line(3)
            )
        );
    }

    #[test]
    fn counts_are_only_promises() {
        let one = record(1, b"\x7f\0\0\x01");
        assert_eq!(Message::read(&message([9, 9, 9], &one)).unwrap().answer.len(), 1);
        let rest_ignored = Message::read(&message([0, 0, 0], &one)).unwrap();
        assert!(rest_ignored.answer.is_empty());
        let bare = Message::read(&message([1, 0, 0], b"")[..12]).unwrap();
        assert!(bare.answer.is_empty() && bare.questions.is_empty());
        assert_eq!(Message::read(b"\0\0\0"), Err(ReadError::Short { octets: 3 }));
        let mut two_questions = message([0, 0, 0], b"");
        two_questions[5] = 2;
        assert!(matches!(
            Message::read(&two_questions),
            Err(ReadError::Malformed {
                section: "question",
                entry: 2,
                ..
            })
        ));
    }

    #[test]
    fn signed_answers_cannot_be_verified() {
        let tsig = record(250, b"\x04hmac\0\0\0\0\0\0\0\x01\x2c\0\0\x12\x34\0\0\0\0");
        assert_eq!(Message::read(&message([0, 0, 1], &tsig)), Err(ReadError::Signed));
        assert!(Message::read(&message([1, 0, 0], &tsig)).is_ok());
    }

    /// Messages that are nearly right: records of every type with data that may fit.
    fn nearly_messages() -> impl Strategy<Value = Vec<u8>> {
        let rtype = prop_oneof![
            0_u16..70,
            99_u16..130,
            249_u16..265,
            Just(32768),
            Just(32769),
            any::<u16>()
        ];
        let records = proptest::collection::vec((rtype, proptest::collection::vec(any::<u8>(), 0..40)), 1..4);
        (records, any::<[u16; 3]>()).prop_map(|(records, counts)| {
            let records: Vec<u8> = records
                .iter()
                .flat_map(|(rtype, data)| record(*rtype, data))
                .collect();
            message(counts.map(|count| count % 4), &records)
        })
    }

    proptest! {
        #[test]
        fn no_octets_make_the_reader_fail_but_by_an_error(octets in proptest::collection::vec(any::<u8>(), 0..600)) {
            let _ = Message::read(&octets).map(|message| message.to_string());
        }

        #[test]
        fn no_record_makes_the_printer_fail_but_by_an_error(octets in nearly_messages(), cut in any::<prop::sample::Index>()) {
            let _ = Message::read(&octets).map(|message| message.to_string());
            let _ = Message::read(&octets[..cut.index(octets.len())]).map(|message| message.to_string());
        }

        /// What is read is never longer than 500 times what came: names are the only thing that can be repeated, and a
        /// pointer of two octets repeats at most 1004.
        #[test]
        fn work_is_bounded(octets in nearly_messages()) {
            if let Ok(message) = Message::read(&octets) {
                let sections = [&message.answer, &message.authority, &message.additional];
                let printed: usize = sections.iter().flat_map(|records| records.iter()).map(|record| record.text.len()).sum();
                prop_assert!(printed <= 502 * octets.len() + 1000, "{printed} of {}", octets.len());
            }
        }
    }
}
