//! Signed assertions of the JWT bearer grant (RFC 7519, RFC 7523).

use std::collections::BTreeMap;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{self, RsaEncoding, RsaKeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::pem::PemObject;

use super::OAuth2Error;
use crate::calendar::unix_now;
use crate::config::{self, Anything};

/// How long an assertion is good, in seconds.
const LIFETIME: i64 = 600;

/// The signed assertion that asks for a token.
pub(super) fn assertion(raw: &config::OAuth2, key: &[u8]) -> Result<String, OAuth2Error> {
    let (name, padding): (&str, &'static dyn RsaEncoding) = match raw.signature_algorithm.as_str() {
        "RS384" => ("RS384", &signature::RSA_PKCS1_SHA384),
        "RS512" => ("RS512", &signature::RSA_PKCS1_SHA512),
        _ => ("RS256", &signature::RSA_PKCS1_SHA256),
    };
    let mut header = BTreeMap::from([
        ("alg".to_owned(), Anything::text(name)),
        ("typ".to_owned(), Anything::text("JWT")),
    ]);
    if !raw.client_certificate_key_id.is_empty() {
        header.insert("kid".to_owned(), Anything::text(&raw.client_certificate_key_id));
    }
    let claims = encode(claims(raw, unix_now()))?;
    let signed = format!("{}.{claims}", encode(header)?);
    let pair = key_pair(key)?;
    let mut signature = vec![0; pair.public_modulus_len()];
    pair.sign(padding, &SystemRandom::new(), signed.as_bytes(), &mut signature)
        .map_err(|_| OAuth2Error::Key("it cannot sign".to_owned()))?;
    Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
}

fn encode(part: BTreeMap<String, Anything>) -> Result<String, OAuth2Error> {
    let mut text = String::new();
    Anything::Map(part)
        .push_json(&mut text)
        .map_err(OAuth2Error::Claims)?;
    Ok(URL_SAFE_NO_PAD.encode(text))
}

fn claims(raw: &config::OAuth2, now: i64) -> BTreeMap<String, Anything> {
    let or = |text: &str, default: &str| Anything::text(if text.is_empty() { default } else { text });
    let mut claims = BTreeMap::from([
        ("iss".to_owned(), or(&raw.iss, &raw.client_id)),
        ("sub".to_owned(), Anything::text(&raw.client_id)),
        ("jti".to_owned(), Anything::text(identifier())),
        ("aud".to_owned(), or(&raw.audience, &raw.token_url)),
        ("iat".to_owned(), Anything::Int(now)),
        ("exp".to_owned(), Anything::Int(now + LIFETIME)),
    ]);
    if !raw.scopes.is_empty() {
        claims.insert("scope".to_owned(), Anything::text(raw.scopes.join(" ")));
    }
    claims.extend(raw.claims.clone());
    claims
}

/// A random UUID (RFC 9562, section 5.4).
fn identifier() -> String {
    let random: u128 = rand::random();
    let bits = random & !(0xf << 76) & !(0x3 << 62) | 0x4 << 76 | 0x2 << 62;
    let hex = format!("{bits:032x}");
    let part = |from: usize, to: usize| hex.get(from..to).unwrap_or_default();
    [part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32)].join("-")
}

fn key_pair(pem: &[u8]) -> Result<RsaKeyPair, OAuth2Error> {
    let bad = |reason: String| OAuth2Error::Key(reason);
    let der = PrivateKeyDer::from_pem_slice(pem)
        .map_err(|_| bad("it is not a private key in PEM (PKCS #1 or PKCS #8)".to_owned()))?;
    let pair = match &der {
        PrivateKeyDer::Pkcs8(key) => RsaKeyPair::from_pkcs8(key.secret_pkcs8_der()),
        PrivateKeyDer::Pkcs1(key) => RsaKeyPair::from_der(key.secret_pkcs1_der()),
        _ => return Err(bad("it is not an RSA key".to_owned())),
    };
    pair.map_err(|error| bad(unfit(&error.to_string())))
}

/// Why aws-lc refuses a key.
fn unfit(error: &str) -> String {
    match error {
        // compat: upstream signs with them.
        "TooSmall" => "RSA keys below 2048 bits cannot be used".to_owned(),
        "TooLarge" => "RSA keys above 8192 bits cannot be used".to_owned(),
        error => format!("it is not a valid RSA key: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::encoding::AsDer;
    use aws_lc_rs::rsa::KeySize;
    use aws_lc_rs::signature::KeyPair;
    use serde_json::{Value, json};

    use super::*;

    /// An RSA key of 1024 bits (PKCS #1), for this test alone.
    const SMALL: &str = concat!(
        "MIICXQIBAAKBgQC1cwW1RZ5+EzwQY4CY8G5OVkq4JLCoavVe+437J3cZTuFGENRc6/nqwxp93zvvPWqRTJVvScx8u4GHiXrEzZgn",
        "VP+62vy0IhIyT4gSrq/KQ/dcYlKhhb+zX6JM5gqlb9ofmkKdlS5Ob/2V8sxjBjOoAm8BPQ625MUlQYEtsHTojwIDAQABAoGBAKQy",
        "pFW33IcmjNIf2P2NhaRqPk+JFDw0HjuH1KIUwpgqY31uOV6lRJGHYO/LFYeXwloePZRp6hxt6fdnF6wEiMx47angI2afkx7WZa+P",
        "H0jbYIO17eQVcHUpEkeKGRfZ32AiDrst3n8VRsDdj8WrpSBG2MSCT9Ee8KRSZR3etATRAkEA2YdD592M/jHSXc0Jmi6XRSq9SXU5",
        "uVWCb0vU/FC6RHPjcVHmaiEXs7OYReutGStljps0Mo/bQsPNWoWmUXUMowJBANWKQRIgaPj/G27vfa0t1B0awXswo1PFs01R1Gp/",
        "BfINaq2RejlQpvWWlX9Kseww//xSfLaP79TLmt2OuTqB5yUCQF69Mc8HSAPhsQxXY4o6JnniXmRi4MweONu+PDnT8vwjOPi+wcqR",
        "NSB35Kb3OQGQS//rCrXGv6j5XDPDp6csgl8CQQDEyFVSyP8zhpPXVWfxcWwpLgDi711z05p6RFCFm2z1NJv8OzXxH3vckdpOpZz0",
        "1erwsWswKdCPvtmGFwJnAlLpAkAiZcxr/AR8GTYy0xyR03Mkc4YkwnFGbgKGrW6m6JL+CRqxdYklbdqL0J+bHLMnwGWxa5ygEPlL",
        "VMiDidzhMW4b",
    );

    fn pem(pair: &RsaKeyPair) -> String {
        let der = AsDer::<aws_lc_rs::encoding::Pkcs8V1Der<'_>>::as_der(pair).unwrap();
        let text = base64::engine::general_purpose::STANDARD.encode(der.as_ref());
        format!("-----BEGIN PRIVATE KEY-----\n{text}\n-----END PRIVATE KEY-----\n")
    }

    #[test]
    fn assertions_can_be_verified() {
        let pair = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
        for (algorithm, verification) in [
            ("", &signature::RSA_PKCS1_2048_8192_SHA256),
            ("RS384", &signature::RSA_PKCS1_2048_8192_SHA384),
            ("RS512", &signature::RSA_PKCS1_2048_8192_SHA512),
        ] {
            let raw = config::OAuth2 {
                client_id: "me".to_owned(),
                token_url: "http://t/".into(),
                signature_algorithm: algorithm.to_owned(),
                client_certificate_key_id: "k1".to_owned(),
                scopes: vec!["a".to_owned(), "b".to_owned()],
                claims: [("team".to_owned(), Anything::text("x"))].into(),
                ..config::OAuth2::default()
            };
            let text = assertion(&raw, pem(&pair).as_bytes()).unwrap();
            let parts: Vec<&str> = text.split('.').collect();
            let read = |part: &str| -> Value {
                serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
            };
            assert_eq!(read(parts[0])["kid"], "k1");
            let claims = read(parts[1]);
            assert_eq!(
                (&claims["iss"], &claims["aud"], &claims["scope"], &claims["team"]),
                (&json!("me"), &json!("http://t/"), &json!("a b"), &json!("x"))
            );
            assert_eq!(
                claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap(),
                600
            );
            let key = signature::UnparsedPublicKey::new(verification, pair.public_key().as_ref());
            let signature = URL_SAFE_NO_PAD.decode(parts[2]).unwrap();
            key.verify(format!("{}.{}", parts[0], parts[1]).as_bytes(), &signature)
                .unwrap();
        }
    }

    #[test]
    fn identifiers_are_uuids() {
        let text = identifier();
        assert_eq!(text.len(), 36);
        assert_eq!(text.as_bytes()[14], b'4');
        assert!(b"89ab".contains(&text.as_bytes()[19]));
    }

    #[test]
    fn keys_that_are_none_are_refused() {
        for key in ["", "hello"] {
            assert!(assertion(&config::OAuth2::default(), key.as_bytes()).is_err());
        }
        let pem = format!("-----BEGIN RSA PRIVATE KEY-----\n{SMALL}\n-----END RSA PRIVATE KEY-----\n");
        let refused = assertion(&config::OAuth2::default(), pem.as_bytes()).unwrap_err();
        let want = "oauth2: the private key cannot be used: RSA keys below 2048 bits cannot be used";
        assert_eq!(refused.to_string(), want);
    }
}
