//! AES-CBC with HMAC-SHA-1 (RFC 5246, section 6.2.3.2): suites of TLS 1.2 that Go offers last and rustls does not come with. Some
//! appliances speak nothing else.
//!
//! The MAC is over the plaintext, and the padding is not under it, so a peer in the middle must not learn from an error or its time
//! which of the two was wrong: both are checked always, and as much is hashed whatever the padding says (as against "Lucky 13").

use std::sync::LazyLock;

use aws_lc_rs::cipher::{
    AES_128, AES_256, Algorithm, DecryptingKey, DecryptionContext, EncryptingKey, UnboundCipherKey,
};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::rand::{SecureRandom as _, SystemRandom};
use aws_lc_rs::{digest, hmac};
use rustls::crypto::aws_lc_rs::cipher_suite;
use rustls::crypto::cipher::{
    AeadKey, InboundOpaqueMessage, InboundPlainMessage, KeyBlockShape, MessageDecrypter, MessageEncrypter,
    OutboundOpaqueMessage, OutboundPlainMessage, PrefixedPayload, Tls12AeadAlgorithm,
    UnsupportedOperationError, make_tls12_aad,
};
use rustls::{
    CipherSuite, CipherSuiteCommon, ConnectionTrafficSecrets, Error, SupportedCipherSuite, Tls12CipherSuite,
};
use subtle::{Choice, ConditionallySelectable as _, ConstantTimeEq as _, ConstantTimeLess as _};

/// Bytes of a block, and of the explicit initialization vector of a record.
const BLOCK: usize = 16;
/// Bytes of a MAC and of its key.
const MAC: usize = 20;
/// Most bytes of plaintext in a record.
const MAX_PLAIN: usize = 1 << 14;
/// Size of a block of SHA-1, in bytes.
const HASHED_AT_ONCE: usize = 64;
/// What SHA-1 appends at least.
const HASH_PADDING: usize = 9;

/// The suites, in Go's order.
pub fn suites() -> impl Iterator<Item = SupportedCipherSuite> {
    SUITES.iter().map(SupportedCipherSuite::Tls12)
}

static SUITES: LazyLock<Vec<Tls12CipherSuite>> = LazyLock::new(|| {
    let (ecdsa, rsa) = (
        cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
        cipher_suite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
    );
    let suites = [
        (CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA, ecdsa, &CBC_128),
        (CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA, rsa, &CBC_128),
        (CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA, ecdsa, &CBC_256),
        (CipherSuite::TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA, rsa, &CBC_256),
    ];
    let suites = suites.into_iter().filter_map(|(suite, like, cbc)| match like {
        // Apart from its records such a suite is one of TLS 1.2 like the others.
        SupportedCipherSuite::Tls12(like) => Some(Tls12CipherSuite {
            common: CipherSuiteCommon {
                suite,
                hash_provider: like.common.hash_provider,
                confidentiality_limit: like.common.confidentiality_limit,
            },
            prf_provider: like.prf_provider,
            kx: like.kx,
            sign: like.sign,
            aead_alg: cbc,
        }),
        SupportedCipherSuite::Tls13(_) => None,
    });
    suites.collect()
});

/// AES-CBC with HMAC-SHA-1, for rustls an AEAD.
struct Cbc {
    algorithm: &'static Algorithm,
    key_length: usize,
}

static CBC_128: Cbc = Cbc {
    algorithm: &AES_128,
    key_length: 16,
};

static CBC_256: Cbc = Cbc {
    algorithm: &AES_256,
    key_length: 32,
};

/// The key block is made of two keys for MACs, then two for encryption. rustls knows of no MAC keys, but cuts two keys and two
/// initialization vectors off in that order: the first are our keys for MACs, the second those for encryption.
impl Tls12AeadAlgorithm for Cbc {
    fn encrypter(&self, mac_key: AeadKey, key: &[u8], _: &[u8]) -> Box<dyn MessageEncrypter> {
        let key = UnboundCipherKey::new(self.algorithm, key).and_then(EncryptingKey::ecb);
        Box::new(Encrypter {
            key: key.ok(),
            mac: Mac::new(&mac_key),
        })
    }

    fn decrypter(&self, mac_key: AeadKey, key: &[u8]) -> Box<dyn MessageDecrypter> {
        let key = UnboundCipherKey::new(self.algorithm, key).and_then(DecryptingKey::ecb);
        Box::new(Decrypter {
            key: key.ok(),
            mac: Mac::new(&mac_key),
        })
    }

    fn key_block_shape(&self) -> KeyBlockShape {
        KeyBlockShape {
            enc_key_len: MAC,
            fixed_iv_len: self.key_length,
            explicit_nonce_len: 0,
        }
    }

    fn extract_keys(
        &self,
        _: AeadKey,
        _: &[u8],
        _: &[u8],
    ) -> Result<ConnectionTrafficSecrets, UnsupportedOperationError> {
        Err(UnsupportedOperationError)
    }
}

/// HMAC-SHA-1 over the head of a record and its plaintext.
struct Mac(hmac::Key);

impl Mac {
    fn new(key: &AeadKey) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, key.as_ref()))
    }

    fn of(&self, head: &[u8], plain: &[u8]) -> hmac::Tag {
        let mut context = hmac::Context::with_key(&self.0);
        context.update(head);
        context.update(plain);
        context.sign()
    }
}

struct Encrypter {
    /// `None`, which does not occur, fails every record.
    key: Option<EncryptingKey>,
    mac: Mac,
}

impl MessageEncrypter for Encrypter {
    fn encrypt(
        &mut self,
        message: OutboundPlainMessage<'_>,
        seq: u64,
    ) -> Result<OutboundOpaqueMessage, Error> {
        let key = self.key.as_ref().ok_or(Error::EncryptError)?;
        let plain = message.payload.to_vec();
        let head = make_tls12_aad(seq, message.typ, message.version, plain.len());
        let tag = self.mac.of(&head, &plain);
        let mut vector = [0; BLOCK];
        let random = SystemRandom::new().fill(&mut vector);
        random.map_err(|_| Error::EncryptError)?;

        let length = self.encrypted_payload_len(plain.len());
        let mut payload = PrefixedPayload::with_capacity(length);
        payload.extend_from_slice(&vector);
        payload.extend_from_slice(&plain);
        payload.extend_from_slice(tag.as_ref());
        // Each byte of the padding says how many come before the last.
        let padding = length - BLOCK - plain.len() - MAC;
        let byte = u8::try_from(padding - 1).map_err(|_| Error::EncryptError)?;
        payload.extend(&vec![byte; padding]);

        let mut previous = vector;
        for block in payload.as_mut().chunks_exact_mut(BLOCK).skip(1) {
            xor(block, &previous);
            key.encrypt(block).map_err(|_| Error::EncryptError)?;
            previous.copy_from_slice(block);
        }
        Ok(OutboundOpaqueMessage::new(message.typ, message.version, payload))
    }

    fn encrypted_payload_len(&self, plain: usize) -> usize {
        BLOCK + (plain + MAC + 1).next_multiple_of(BLOCK)
    }
}

fn xor(block: &mut [u8], with: &[u8]) {
    for (byte, with) in block.iter_mut().zip(with) {
        *byte ^= with;
    }
}

struct Decrypter {
    /// `None`, which does not occur, fails every record.
    key: Option<DecryptingKey>,
    mac: Mac,
}

impl MessageDecrypter for Decrypter {
    fn decrypt<'a>(
        &mut self,
        mut message: InboundOpaqueMessage<'a>,
        seq: u64,
    ) -> Result<InboundPlainMessage<'a>, Error> {
        let key = self.key.as_ref().ok_or(Error::DecryptError)?;
        // A vector, and blocks for a MAC and a byte of padding at least.
        if !message.payload.len().is_multiple_of(BLOCK)
            || message.payload.len() < BLOCK + (MAC + 1).next_multiple_of(BLOCK)
        {
            return Err(Error::DecryptError);
        }
        let encrypted = message.payload.to_vec();
        let (_, blocks) = message.payload.split_at_mut(BLOCK);
        key.decrypt(blocks, DecryptionContext::None)
            .map_err(|_| Error::DecryptError)?;
        // Each block with the one before it, the first with the vector: the same bytes one block earlier.
        xor(blocks, &encrypted);

        let (padding, is_well_padded) = padding(blocks);
        // A MAC is looked for in any case; without room for one, at the beginning.
        let length = blocks.len().saturating_sub(MAC + padding);
        let (plain, rest) = blocks.split_at(length);
        let received = rest.get(..MAC).unwrap_or_default();
        let head = make_tls12_aad(seq, message.typ, message.version, length);
        let tag = self.mac.of(&head, plain);
        let most = head.len() + blocks.len() - MAC - 1;
        hash_in_vain(most, head.len() + length);
        let is_authentic = verify_slices_are_equal(tag.as_ref(), received).is_ok();
        if !bool::from(is_well_padded & Choice::from(u8::from(is_authentic))) {
            return Err(Error::DecryptError);
        }
        if length > MAX_PLAIN {
            return Err(Error::PeerSentOversizedRecord);
        }
        Ok(message.into_plain_message_range(BLOCK..BLOCK + length))
    }
}

/// How many bytes at the end are padding, and whether they are as they must be; if not, one. Takes as long for any padding.
fn padding(plain: &[u8]) -> (usize, Choice) {
    let last = plain.last().copied().unwrap_or_default();
    let mut good = Choice::from(u8::from(usize::from(last) < plain.len()));
    for (place, byte) in (0..=u8::MAX).zip(plain.iter().rev()) {
        let is_padding = !last.ct_lt(&place);
        good &= !is_padding | byte.ct_eq(&last);
    }
    let before_last = u8::conditional_select(&0, &last, good);
    (usize::from(before_last) + 1, good)
}

/// Hashes what is missing from `hashed` bytes to `most`, so that the sum is the same for all.
fn hash_in_vain(most: usize, hashed: usize) {
    // Padding is 256 bytes at most.
    const ZEROS: [u8; 5 * HASHED_AT_ONCE] = [0; 5 * HASHED_AT_ONCE];
    let rounds = |bytes: usize| (bytes + HASH_PADDING).div_ceil(HASHED_AT_ONCE);
    let missing = rounds(most).saturating_sub(rounds(hashed)) * HASHED_AT_ONCE;
    let mut context = digest::Context::new(&digest::SHA1_FOR_LEGACY_USE_ONLY);
    context.update(ZEROS.get(..missing).unwrap_or(&ZEROS));
    std::hint::black_box(context);
}

#[cfg(test)]
mod tests {
    use rustls::{ContentType, ProtocolVersion};

    use super::*;

    fn pair(cbc: &Cbc) -> (Box<dyn MessageEncrypter>, Box<dyn MessageDecrypter>) {
        let mac_key = || AeadKey::from([7; 32]);
        let key = vec![9; cbc.key_length];
        (
            cbc.encrypter(mac_key(), &key, &[]),
            cbc.decrypter(mac_key(), &key),
        )
    }

    fn encrypted(encrypter: &mut dyn MessageEncrypter, plain: &[u8], seq: u64) -> Vec<u8> {
        let message = OutboundPlainMessage {
            typ: ContentType::ApplicationData,
            version: ProtocolVersion::TLSv1_2,
            payload: plain.into(),
        };
        let record = encrypter.encrypt(message, seq).unwrap().encode();
        record[5..].to_vec()
    }

    fn decrypted(
        decrypter: &mut dyn MessageDecrypter,
        mut payload: Vec<u8>,
        seq: u64,
    ) -> Result<Vec<u8>, Error> {
        let message = InboundOpaqueMessage::new(
            ContentType::ApplicationData,
            ProtocolVersion::TLSv1_2,
            &mut payload,
        );
        decrypter
            .decrypt(message, seq)
            .map(|plain| plain.payload.to_vec())
    }

    #[test]
    fn what_is_encrypted_is_decrypted() {
        for cbc in [&CBC_128, &CBC_256] {
            let (mut encrypter, mut decrypter) = pair(cbc);
            for length in (0..100).chain([1000, MAX_PLAIN]) {
                let plain: Vec<u8> = (0..length).map(|i| i as u8).collect();
                let payload = encrypted(&mut *encrypter, &plain, 3);
                assert_eq!(payload.len(), encrypter.encrypted_payload_len(length));
                assert_eq!(decrypted(&mut *decrypter, payload, 3), Ok(plain), "{length}");
            }
        }
    }

    #[test]
    fn any_change_is_noticed() {
        let (mut encrypter, mut decrypter) = pair(&CBC_128);
        let payload = encrypted(&mut *encrypter, b"hello, appliance", 0);
        for bit in 0..payload.len() * 8 {
            let mut changed = payload.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(
                decrypted(&mut *decrypter, changed, 0),
                Err(Error::DecryptError),
                "{bit}"
            );
        }
        assert_eq!(
            decrypted(&mut *decrypter, payload.clone(), 1),
            Err(Error::DecryptError)
        );
        for length in 0..payload.len() {
            let cut = payload[..length].to_vec();
            assert_eq!(
                decrypted(&mut *decrypter, cut, 0),
                Err(Error::DecryptError),
                "{length}"
            );
        }
    }

    #[test]
    fn longer_records_than_allowed_are_refused() {
        let (mut encrypter, mut decrypter) = pair(&CBC_128);
        let payload = encrypted(&mut *encrypter, &vec![0; MAX_PLAIN + 1], 0);
        assert_eq!(
            decrypted(&mut *decrypter, payload, 0),
            Err(Error::PeerSentOversizedRecord)
        );
    }

    #[test]
    fn padding_is_judged_whole() {
        let judge = |bytes: &[u8]| {
            let (length, good) = padding(bytes);
            (length, bool::from(good))
        };
        assert_eq!(judge(&[9, 9, 0]), (1, true));
        assert_eq!(judge(&[9, 1, 1]), (2, true));
        assert_eq!(judge(&[2, 2, 2]), (3, true));
        assert_eq!(judge(&[9, 0, 1]), (1, false));
        assert_eq!(judge(&[3, 3, 3]), (1, false));
        let mut most = vec![255; 300];
        assert_eq!(judge(&most), (256, true));
        most[300 - 256] = 0;
        assert_eq!(judge(&most), (1, false));
        most[300 - 256] = 255;
        most[300 - 257] = 0;
        assert_eq!(judge(&most), (256, true));
    }

    /// RFC 5246 leaves the length of the padding to the sender.
    #[test]
    fn padding_may_be_longer_than_it_must() {
        let (_, mut decrypter) = pair(&CBC_128);
        let key = EncryptingKey::ecb(UnboundCipherKey::new(&AES_128, &[9; 16]).unwrap()).unwrap();
        let mac = Mac::new(&AeadKey::from([7; 32]));
        let head = make_tls12_aad(0, ContentType::ApplicationData, ProtocolVersion::TLSv1_2, 2);
        let mut plain = b"ok".to_vec();
        plain.extend(mac.of(&head, b"ok").as_ref());
        plain.extend([249; 250]);
        let mut payload = vec![5; BLOCK];
        for block in plain.chunks_mut(BLOCK) {
            xor(block, &payload[payload.len() - BLOCK..]);
            key.encrypt(block).unwrap();
            payload.extend_from_slice(block);
        }
        assert_eq!(decrypted(&mut *decrypter, payload, 0), Ok(b"ok".to_vec()));
    }
}
