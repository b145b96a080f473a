//! ICMP messages as bytes (RFC 792, RFC 4443): echo requests out, replies and errors in.

use std::fmt;
use std::net::IpAddr;

/// The address family, which decides the numbers of the message types.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum AddressFamily {
    V4,
    V6,
}

impl AddressFamily {
    /// Of an address.
    pub fn of(ip: IpAddr) -> Self {
        if ip.is_ipv4() { Self::V4 } else { Self::V6 }
    }

    fn echo_request(self) -> u8 {
        match self {
            Self::V4 => 8,
            Self::V6 => 128,
        }
    }

    fn echo_reply(self) -> u8 {
        match self {
            Self::V4 => 0,
            Self::V6 => 129,
        }
    }

    /// Most bytes of payload that one packet can carry, fragmented or not.
    pub fn max_payload(self) -> usize {
        match self {
            Self::V4 => 0xffff - 20 - ECHO_HEADER,
            Self::V6 => 0xffff - ECHO_HEADER,
        }
    }
}

/// Bytes before the payload of an echo message.
const ECHO_HEADER: usize = 8;

/// An echo request. The checksum is set for IPv4 only, where a raw socket needs it; for IPv6, and for unprivileged sockets,
/// the kernel computes it.
pub fn echo_request(family: AddressFamily, id: u16, sequence: u16, payload: &[u8]) -> Vec<u8> {
    let mut packet = Vec::with_capacity(ECHO_HEADER + payload.len());
    packet.extend([family.echo_request(), 0, 0, 0]);
    packet.extend(id.to_be_bytes());
    packet.extend(sequence.to_be_bytes());
    packet.extend(payload);
    if family == AddressFamily::V4 {
        let sum = checksum(&packet).to_be_bytes();
        if let Some(place) = packet.get_mut(2..4) {
            place.copy_from_slice(&sum);
        }
    }
    packet
}

/// RFC 1071.
fn checksum(bytes: &[u8]) -> u16 {
    let (pairs, odd) = bytes.as_chunks::<2>();
    let mut sum: u64 = pairs
        .iter()
        .map(|pair| u64::from(u16::from_be_bytes(*pair)))
        .sum();
    sum += odd.first().map_or(0, |byte| u64::from(*byte) << 8);
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    // The loop leaves at most sixteen bits.
    !(sum as u16)
}

/// A message that came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Message<'a> {
    /// The answer to an echo request.
    Reply {
        /// Identifier of the request.
        id: u16,
        /// Sequence number of the request.
        sequence: u16,
        /// Payload of the request.
        payload: &'a [u8],
    },
    /// A report that an echo request did not arrive.
    Failure {
        /// Whom the request was for.
        to: IpAddr,
        /// Identifier of the request.
        id: u16,
        /// Sequence number of the request.
        sequence: u16,
        /// What happened.
        report: Report,
    },
}

impl<'a> Message<'a> {
    /// Reads a message without its IP header. `None` for everything that is no answer to an echo request.
    pub fn parse(family: AddressFamily, from: IpAddr, bytes: &'a [u8]) -> Option<Self> {
        let (header, body) = bytes.split_first_chunk::<ECHO_HEADER>()?;
        let [icmp_type, code, _, _, id0, id1, seq0, seq1] = *header;
        if icmp_type == family.echo_reply() && code == 0 {
            return Some(Self::Reply {
                id: u16::from_be_bytes([id0, id1]),
                sequence: u16::from_be_bytes([seq0, seq1]),
                payload: body,
            });
        }
        let info = match (family, icmp_type) {
            (AddressFamily::V4, 3 | 11 | 12) => u32::from(u16::from_be_bytes([seq0, seq1])),
            (AddressFamily::V6, 1..=4) => u32::from_be_bytes([id0, id1, seq0, seq1]),
            _ => return None,
        };
        let (to, quoted) = quoted_packet(family, body)?;
        let (id, sequence) = echo_of(family, quoted)?;
        let report = Report {
            family,
            icmp_type,
            code,
            info,
            reporter: Some(from),
        };
        Some(Self::Failure {
            to,
            id,
            sequence,
            report,
        })
    }
}

/// Identifier and sequence number of our own echo request, as an error quotes it.
pub fn echo_of(family: AddressFamily, quoted: &[u8]) -> Option<(u16, u16)> {
    let [icmp_type, _, _, _, id0, id1, seq0, seq1] = *quoted.first_chunk::<ECHO_HEADER>()?;
    (icmp_type == family.echo_request())
        .then(|| (u16::from_be_bytes([id0, id1]), u16::from_be_bytes([seq0, seq1])))
}

/// Destination and payload of the IP packet that an error quotes.
fn quoted_packet(family: AddressFamily, packet: &[u8]) -> Option<(IpAddr, &[u8])> {
    match family {
        AddressFamily::V4 => {
            let header_length = usize::from(packet.first()? & 0x0f) * 4;
            let to: [u8; 4] = *packet.get(16..)?.first_chunk()?;
            (*packet.get(9)? == 1).then_some(())?;
            Some((to.into(), packet.get(header_length.max(20)..)?))
        }
        AddressFamily::V6 => {
            let to: [u8; 16] = *packet.get(24..)?.first_chunk()?;
            const ICMPV6: u8 = 58;
            const FRAGMENT: u8 = 44;
            match *packet.get(6)? {
                ICMPV6 => Some((to.into(), packet.get(40..)?)),
                FRAGMENT if *packet.get(40)? == ICMPV6 => Some((to.into(), packet.get(48..)?)),
                _ => None,
            }
        }
    }
}

/// The ICMP message behind an IPv4 header, which raw sockets deliver too.
pub fn without_ipv4_header(packet: &[u8]) -> Option<&[u8]> {
    let header_length = usize::from(packet.first()? & 0x0f) * 4;
    packet.get(header_length.max(20)..)
}

/// Why a packet did not arrive, in the words of an ICMP error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Report {
    /// Whose numbers they are.
    pub family: AddressFamily,
    /// ICMP type.
    pub icmp_type: u8,
    /// ICMP code.
    pub code: u8,
    /// The MTU, where the type has one.
    pub info: u32,
    /// Who says so.
    pub reporter: Option<IpAddr>,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = match (self.family, self.icmp_type, self.code) {
            (AddressFamily::V4, 3, 0) => "destination network unreachable",
            (AddressFamily::V4, 3, 1) => "destination host unreachable",
            (AddressFamily::V4, 3, 2) => "destination protocol unreachable",
            (AddressFamily::V4, 3, 3) => "destination port unreachable",
            (AddressFamily::V4, 3, 4) | (AddressFamily::V6, 2, _) => "packet too big",
            (AddressFamily::V4, 3, 5) => "source route failed",
            (AddressFamily::V4, 3, 6) => "destination network unknown",
            (AddressFamily::V4, 3, 7) => "destination host unknown",
            (AddressFamily::V4, 3, 9 | 10 | 13) | (AddressFamily::V6, 1, 1) => "administratively prohibited",
            (AddressFamily::V4, 3, 11 | 12) => "destination unreachable for this type of service",
            (AddressFamily::V4, 3, _) | (AddressFamily::V6, 1, _) if self.code > 6 => {
                "destination unreachable"
            }
            (AddressFamily::V6, 1, 0) => "no route to destination",
            (AddressFamily::V6, 1, 2) => "beyond scope of source address",
            (AddressFamily::V6, 1, 3) => "destination address unreachable",
            (AddressFamily::V6, 1, 4) => "destination port unreachable",
            (AddressFamily::V6, 1, 5) => "source address failed ingress policy",
            (AddressFamily::V6, 1, 6) => "reject route to destination",
            (AddressFamily::V4, 11, 0) => "time to live exceeded",
            (AddressFamily::V6, 3, 0) => "hop limit exceeded",
            (AddressFamily::V4, 11, _) | (AddressFamily::V6, 3, _) => "time for reassembly exceeded",
            (AddressFamily::V4, 12, _) | (AddressFamily::V6, 4, _) => "parameter problem",
            _ => "not delivered",
        };
        f.write_str(words)?;
        if words == "packet too big" && self.info > 0 {
            write!(f, " for an MTU of {} bytes", self.info)?;
        }
        if let Some(reporter) = self.reporter {
            write!(f, ", says {reporter}")?;
        }
        write!(f, " (ICMP type {}, code {})", self.icmp_type, self.code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FROM: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));

    #[test]
    fn requests_are_as_the_rfcs_say() {
        assert_eq!(
            echo_request(AddressFamily::V4, 0x1234, 7, b"abc"),
            b"\x08\x00\x21\x62\x12\x34\x00\x07abc"
        );
        assert_eq!(
            echo_request(AddressFamily::V6, 0x1234, 7, b"abc"),
            b"\x80\x00\x00\x00\x12\x34\x00\x07abc"
        );
        // A packet with its checksum sums up to nothing.
        let packet = echo_request(AddressFamily::V4, 0xffff, 0xffff, &[0xff; 1001]);
        assert_eq!(checksum(&packet), 0);
    }

    #[test]
    fn replies_and_errors_are_told_apart() {
        let reply = b"\x00\x00\x99\x99\x12\x34\x00\x07abc";
        assert_eq!(
            Message::parse(AddressFamily::V4, FROM, reply),
            Some(Message::Reply {
                id: 0x1234,
                sequence: 7,
                payload: b"abc"
            })
        );
        let request = echo_request(AddressFamily::V4, 0x1234, 7, b"abc");
        assert_eq!(
            Message::parse(AddressFamily::V4, FROM, &request),
            None,
            "our own request"
        );
        let mut quoted = vec![
            0x45, 0, 0, 31, 0, 0, 0, 0, 64, 1, 0, 0, 127, 0, 0, 1, 203, 0, 113, 9,
        ];
        quoted.extend(&request);
        let mut error = vec![3, 4, 0, 0, 0, 0, 5, 0xdc];
        error.extend(&quoted);
        let report = Report {
            family: AddressFamily::V4,
            icmp_type: 3,
            code: 4,
            info: 1500,
            reporter: Some(FROM),
        };
        assert_eq!(
            Message::parse(AddressFamily::V4, FROM, &error),
            Some(Message::Failure {
                to: [203, 0, 113, 9].into(),
                id: 0x1234,
                sequence: 7,
                report
            })
        );
        assert_eq!(
            report.to_string(),
            "packet too big for an MTU of 1500 bytes, says 192.0.2.1 (ICMP type 3, code 4)"
        );
        error[8 + 9] = 17;
        assert_eq!(
            Message::parse(AddressFamily::V4, FROM, &error),
            None,
            "an error about UDP"
        );
    }

    #[test]
    fn errors_of_ipv6_are_read_behind_a_fragment_header() {
        let from = "2001:db8::1".parse().unwrap();
        let request = echo_request(AddressFamily::V6, 5, 6, b"x");
        for fragmented in [false, true] {
            let mut error = vec![3, 0, 0, 0, 0, 0, 0, 0];
            let mut header = [0_u8; 40];
            header[6] = if fragmented { 44 } else { 58 };
            header[39] = 9;
            error.extend(header);
            if fragmented {
                error.extend([58, 0, 0, 1, 0, 0, 0, 1]);
            }
            error.extend(&request);
            let Some(Message::Failure {
                to,
                id,
                sequence,
                report,
            }) = Message::parse(AddressFamily::V6, from, &error)
            else {
                panic!("not read");
            };
            assert_eq!((to, id, sequence), ("::9".parse().unwrap(), 5, 6));
            assert_eq!(
                report.to_string(),
                "hop limit exceeded, says 2001:db8::1 (ICMP type 3, code 0)"
            );
        }
    }

    proptest::proptest! {
        #[test]
        fn no_packet_makes_it_panic(bytes in proptest::collection::vec(0_u8.., 0..200), six: bool) {
            let family = if six { AddressFamily::V6 } else { AddressFamily::V4 };
            let inner = without_ipv4_header(&bytes).unwrap_or(&bytes);
            let _ = (Message::parse(family, FROM, inner), echo_of(family, &bytes));
        }
    }
}
