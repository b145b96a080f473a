//! bcrypt hashes as Go's `x/crypto/bcrypt` reads them, which is less strictly than others do: an optional letter of any kind behind
//! the version, anything behind the sixtieth byte, any bits where the salt's last character has more than it needs.

use std::collections::BTreeMap;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use base64::Engine as _;
use base64::alphabet::BCRYPT;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use bcrypt::Version;
use zeroize::Zeroizing;

use crate::config::Secret;

/// The shortest that Go takes for a hash.
const SHORTEST: usize = 59;
/// Characters of the salt and of the digest behind it.
const SALT: usize = 22;
const DIGEST: usize = 31;

/// The salt's encoding.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &BCRYPT,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::RequireNone),
);

/// A hash that may be a password's.
#[derive(Debug)]
pub struct Hash<'a> {
    cost: u32,
    salt: [u8; 16],
    digest: &'a [u8],
}

impl<'a> Hash<'a> {
    /// Reads a hash. `None` when it is no password's, which [`check`] does not say of all: as in Go, a salt is read late.
    pub fn parse(hash: &'a str) -> Option<Self> {
        let cost = cost(hash)?;
        let (salt, digest) = hash.as_bytes().get(prefix(hash)..)?.split_at_checked(SALT)?;
        Some(Self {
            cost,
            salt: LENIENT.decode(salt).ok()?.try_into().ok()?,
            digest: digest.get(..DIGEST)?,
        })
    }

    /// The logarithm of the rounds.
    pub fn cost(&self) -> u32 {
        self.cost
    }

    /// Whether it is the hash of a password. That takes as long as its cost says.
    pub fn is_of(&self, password: &[u8]) -> bool {
        let Ok(own) = bcrypt::hash_with_salt(password, self.cost, self.salt) else {
            return false;
        };
        let own = Zeroizing::new(own.format_for_version(Version::TwoB));
        let digest = own.as_bytes().last_chunk::<DIGEST>();
        digest.is_some_and(|own| verify_slices_are_equal(own, self.digest).is_ok())
    }
}

/// Whether every hash is one of bcrypt's.
///
/// # Errors
/// The first that is not, in the words of Go's `x/crypto/bcrypt`.
pub fn check(users: &BTreeMap<String, Secret>) -> Result<(), String> {
    users.values().try_for_each(|hash| check_one(hash.expose()))
}

/// What helps who wrote a password where its hash belongs.
const PLAIN: &str =
    "basic_auth_users takes hashes, not passwords: make one with htpasswd -nBC 10 \"\" | tr -d ':\\n'";

fn check_one(hash: &str) -> Result<(), String> {
    let bytes = hash.as_bytes();
    if bytes.len() < SHORTEST {
        let hint = if bytes.starts_with(b"$2") {
            "is it cut off?"
        } else {
            PLAIN
        };
        return Err(format!(
            "crypto/bcrypt: hashedSecret too short to be a bcrypted password; {hint}"
        ));
    }
    let [prefix, major, ..] = bytes else {
        return Ok(());
    };
    if *prefix != b'$' {
        // Upstream names the first letter, which is one of the password's when it stands there in the clear.
        return Err(format!(
            "crypto/bcrypt: bcrypt hashes must start with '$'; {PLAIN}"
        ));
    }
    if *major > b'2' {
        return Err(
            "crypto/bcrypt: bcrypt algorithm version requested is newer than current version '2'".to_owned(),
        );
    }
    match number(hash) {
        None => Err("crypto/bcrypt: the cost of a hash must be a number of two digits".to_owned()),
        Some(4..=31) => Ok(()),
        Some(number) => Err(format!(
            "crypto/bcrypt: cost {number} is outside allowed inclusive range 4..31"
        )),
    }
}

/// The cost of a hash: the logarithm of its rounds.
pub fn cost(hash: &str) -> Option<u32> {
    let number = number(hash).filter(|number| (4..=31).contains(number))?;
    u32::try_from(number).ok()
}

/// What stands where the cost belongs.
fn number(hash: &str) -> Option<i32> {
    let end = prefix(hash).checked_sub(1)?;
    hash.get(end - 2..end)?.parse().ok()
}

/// Bytes before the salt: `$2$10$` or, with any letter behind the version, `$2b$10$`.
fn prefix(hash: &str) -> usize {
    match hash.as_bytes().get(2) {
        Some(b'$') => 6,
        _ => 7,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_those_of_go() {
        assert!(check_one("open sesame").unwrap_err().contains("too short"));
        assert!(
            check_one(&"x".repeat(60))
                .unwrap_err()
                .contains("must start with '$'")
        );
        assert!(
            check_one("$2b$99$abcdefghijklmnopqrstuu/LVz6MZlItEy42I2juLihZ66HnQx/cy")
                .unwrap_err()
                .contains("cost 99")
        );
        assert!(check_one("$2b$04$abcdefghijklmnopqrstuu/LVz6MZlItEy42I2juLihZ66HnQx/cy").is_ok());
    }

    #[test]
    fn what_go_accepts_opens() {
        let hash = "$2b$05$abcdefghijklmnopqrstuu/LVz6MZlItEy42I2juLihZ66HnQx/cy";
        let digest = bcrypt::hash_with_salt("open sesame", 5, Hash::parse(hash).unwrap().salt).unwrap();
        let hash = digest.format_for_version(Version::TwoB);
        assert!(bcrypt::verify("open sesame", &hash).unwrap());
        let end = &hash[3..];
        let rows = [
            ("itself", hash.clone()),
            ("a line break behind it", format!("{hash}\n")),
            ("a space behind it", format!("{hash} ")),
            ("anything behind it", format!("{hash} # of ann")),
            ("text that is not ASCII behind it", format!("{hash}\u{e9}")),
            ("no letter", format!("$2{end}")),
            ("2a", format!("$2a{end}")),
            ("2x", format!("$2x{end}")),
            ("2y", format!("$2y{end}")),
            ("another letter", format!("$2z{end}")),
            ("an older version", format!("$1{end}")),
            ("other bits in the salt", hash.replacen("stuu", "stuv", 1)),
            ("a cost with a sign", hash.replacen("$05$", "$+5$", 1)),
            ("no dollars", hash.replacen("$05$", ".05.", 1)),
        ];
        for (what, hash) in &rows {
            assert_eq!(check_one(hash), Ok(()), "{what}");
            let hash = Hash::parse(hash).unwrap();
            assert!(hash.is_of(b"open sesame"), "{what}");
            assert!(!hash.is_of(b"open"), "{what}");
        }
        // They are let through at the start, as in Go, and nobody comes in.
        let rows = [
            ("the last character missing", hash[..59].to_owned()),
            ("a salt of other characters", hash.replacen("abcd", "!!cd", 1)),
            ("another salt", hash.replacen("abcd", "bacd", 1)),
            (
                "another digest",
                format!("{}{}", &hash[..59], if hash.ends_with('.') { '/' } else { '.' }),
            ),
        ];
        for (what, hash) in &rows {
            assert_eq!(check_one(hash), Ok(()), "{what}");
            assert!(
                !Hash::parse(hash).is_some_and(|hash| hash.is_of(b"open sesame")),
                "{what}"
            );
        }
        let long = "s".repeat(80);
        let hash = bcrypt::hash(&long, 4).unwrap();
        let hash = Hash::parse(&hash).unwrap();
        assert!(hash.is_of(&long.as_bytes()[..72]));
        assert!(!hash.is_of(&long.as_bytes()[..71]));
    }
}
