//! Keys that aws-lc-rs does not verify with, and Go does: RSA below 2048 bits with PSS or SHA-384, RSA above 8192 bits, P-224.
//!
//! Everything here is public (keys, signatures, messages), so nothing needs to run in constant time.

use std::sync::LazyLock;

use aws_lc_rs::digest;
use num_bigint::BigUint;

use super::algorithm::{Algorithm, Curve, Hash};
use super::der::{DerReader, tag};

impl Hash {
    fn algorithm(self) -> &'static digest::Algorithm {
        match self {
            Self::Sha256 => &digest::SHA256,
            Self::Sha384 => &digest::SHA384,
            Self::Sha512 => &digest::SHA512,
        }
    }

    /// What stands before the hash in a PKCS#1 signature: the DER of DigestInfo (RFC 8017, section 9.2, note 1).
    fn prefix(self) -> [u8; 19] {
        let (whole, id, length) = match self {
            Self::Sha256 => (0x31, 1, 0x20),
            Self::Sha384 => (0x41, 2, 0x30),
            Self::Sha512 => (0x51, 3, 0x40),
        };
        [
            0x30, whole, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, id, 0x05,
            0x00, 0x04, length,
        ]
    }
}

fn hash(hash: Hash, parts: &[&[u8]]) -> Vec<u8> {
    let mut context = digest::Context::new(hash.algorithm());
    for part in parts {
        context.update(part);
    }
    context.finish().as_ref().to_vec()
}

/// RSA (RFC 8017, sections 8.1.2 and 8.2.2).
pub(super) fn rsa(
    modulus: &[u8],
    exponent: i64,
    algorithm: Algorithm,
    message: &[u8],
    signature: &[u8],
) -> bool {
    let valid_exponent = i64::from(i32::MAX) >= exponent && exponent > 1 && exponent % 2 == 1;
    let odd = modulus.last().is_some_and(|last| last % 2 == 1);
    if signature.len() != modulus.len() || !valid_exponent || !odd {
        return false;
    }
    let n = BigUint::from_bytes_be(modulus);
    let s = BigUint::from_bytes_be(signature);
    if s >= n {
        return false;
    }
    let Ok(exponent) = u32::try_from(exponent) else {
        return false;
    };
    let bits = n.bits();
    let encoded = padded(&s.modpow(&BigUint::from(exponent), &n), modulus.len());
    match algorithm {
        Algorithm::RsaPkcs1(hash) => pkcs1(hash, message, &encoded),
        Algorithm::RsaPss(hash) => pss(hash, message, &encoded, bits),
        _ => false,
    }
}

/// EMSA-PKCS1-v1_5 (RFC 8017, section 9.2).
fn pkcs1(kind: Hash, message: &[u8], encoded: &[u8]) -> bool {
    let digest = hash(kind, &[message]);
    let tail = [&kind.prefix()[..], &digest].concat();
    let Some(padding) = encoded.len().checked_sub(tail.len() + 3) else {
        return false;
    };
    padding >= 8 && encoded == [&[0, 1][..], &vec![0xff; padding], &[0], &tail].concat()
}

/// EMSA-PSS-VERIFY (RFC 8017, section 9.1.2) with a salt as long as the hash. `bits` are those of the modulus.
fn pss(kind: Hash, message: &[u8], encoded: &[u8], bits: u64) -> bool {
    let digest = hash(kind, &[message]);
    let length = digest.len();
    // The encoded message is one bit shorter than the modulus: for 8k+1 bits, a whole byte.
    let encoded = match (bits % 8, encoded) {
        (1, [0, rest @ ..]) => rest,
        (1, _) => return false,
        (_, encoded) => encoded,
    };
    let Some(([masked @ .., 0xbc], split)) = Some(encoded).zip(encoded.len().checked_sub(length + 1)) else {
        return false;
    };
    let Some((masked, wanted)) = masked.split_at_checked(split) else {
        return false;
    };
    let unused = u32::try_from((8 - (bits - 1) % 8) % 8).unwrap_or(0);
    let first = 0xff_u8.checked_shr(unused).unwrap_or(0);
    if masked.first().is_none_or(|byte| byte & !first != 0) {
        return false;
    }
    let mut block: Vec<u8> = mask(kind, wanted, masked.len())
        .iter()
        .zip(masked)
        .map(|(a, b)| a ^ b)
        .collect();
    if let Some(byte) = block.first_mut() {
        *byte &= first;
    }
    let Some((zeros, salt)) = block
        .len()
        .checked_sub(length)
        .and_then(|at| block.split_at_checked(at))
    else {
        return false;
    };
    let Some((1, zeros)) = zeros.split_last() else {
        return false;
    };
    zeros.iter().all(|byte| *byte == 0) && hash(kind, &[&[0; 8], &digest, salt]) == wanted
}

/// MGF1 (RFC 8017, appendix B.2.1).
fn mask(kind: Hash, seed: &[u8], length: usize) -> Vec<u8> {
    let mut mask = Vec::with_capacity(length);
    let mut counter = 0_u32;
    while mask.len() < length {
        mask.extend(hash(kind, &[seed, &counter.to_be_bytes()]));
        counter += 1;
    }
    mask.truncate(length);
    mask
}

fn padded(number: &BigUint, length: usize) -> Vec<u8> {
    let bytes = number.to_bytes_be();
    let mut padded = vec![0; length.saturating_sub(bytes.len())];
    padded.extend(bytes);
    padded
}

/// The field and the coefficient b of a curve y² = x³ - 3x + b (SEC 2).
struct Field {
    p: BigUint,
    b: BigUint,
}

static FIELDS: LazyLock<[Field; 4]> = LazyLock::new(|| {
    [
        (
            "ffffffffffffffffffffffffffffffff000000000000000000000001",
            "b4050a850c04b3abf54132565044b0b7d7bfd8ba270b39432355ffb4",
        ),
        (
            "ffffffff00000001000000000000000000000000ffffffffffffffffffffffff",
            "5ac635d8aa3a93e7b3ebbd55769886bc651d06b0cc53b0f63bce3c3e27d2604b",
        ),
        (
            "fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffeffffffff0000000000000000ffffffff",
            "b3312fa7e23ee7e4988e056be3f82d19181d9c6efe8141120314088f5013875ac656398d8a2ed19d2a85c8edd3ec2aef",
        ),
        (
            "1ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
            "51953eb9618e1c9a1f929a21a0b68540eea2da725b99b315f3b8b489918ef109e156193951ec7e937b1652c0bd3bb1bf073573df883d2c34f1ef451fd46b503f00",
        ),
    ]
    .map(|(p, b)| Field {
        p: number(p),
        b: number(b),
    })
});

fn number(hex: &str) -> BigUint {
    BigUint::parse_bytes(hex.as_bytes(), 16).unwrap_or_default()
}

impl Curve {
    /// Whether these bytes are a point of this curve in uncompressed form; the error is Go's text.
    pub(super) fn check(self, point: &[u8]) -> Result<(), String> {
        let name = match self {
            Self::P224 => "P224",
            Self::P256 => "P256",
            Self::P384 => "P384",
            Self::P521 => "P521",
        };
        let length = self.coordinate_length();
        match point {
            [4, rest @ ..] if rest.len() == 2 * length => {
                let (x, y) = rest.split_at(length);
                match on_curve(self, x, y) {
                    Some(true) => Ok(()),
                    Some(false) => Err(format!("{name} point not on curve")),
                    None if self == Self::P521 => Err("invalid P521Element encoding".to_owned()),
                    None => Err(format!("invalid {name} element encoding")),
                }
            }
            [4, ..] => Err(format!("invalid {name} point encoding")),
            _ => Err("ecdsa: invalid uncompressed public key".to_owned()),
        }
    }
}

/// Whether a point is on a curve; `None` if its coordinates are none of the field.
fn on_curve(curve: Curve, x: &[u8], y: &[u8]) -> Option<bool> {
    let [p224, p256, p384, p521] = &*FIELDS;
    let field = match curve {
        Curve::P224 => p224,
        Curve::P256 => p256,
        Curve::P384 => p384,
        Curve::P521 => p521,
    };
    let (x, y) = (BigUint::from_bytes_be(x), BigUint::from_bytes_be(y));
    if x >= field.p || y >= field.p {
        return None;
    }
    // y² + 3x = x³ + b, so that nothing is negative.
    let left = &y * &y + BigUint::from(3_u8) * &x;
    let right = &x * &x % &field.p * &x + &field.b;
    Some(left % &field.p == right % &field.p)
}

/// P-224 as a group.
struct P224 {
    p: BigUint,
    order: BigUint,
    generator: Point,
}

/// A point in Jacobian coordinates: x = X/Z², y = Y/Z³; Z = 0 at infinity.
#[derive(Clone)]
struct Point {
    x: BigUint,
    y: BigUint,
    z: BigUint,
}

static P224: LazyLock<P224> = LazyLock::new(|| P224 {
    p: number("ffffffffffffffffffffffffffffffff000000000000000000000001"),
    order: number("ffffffffffffffffffffffffffff16a2e0b8f03e13dd29455c5c2a3d"),
    generator: Point {
        x: number("b70e0cbd6bb4bf7f321390b94a03c1d356c21122343280d6115c1d21"),
        y: number("bd376388b5f723fb4c22dfe6cd4375a05a07476444d5819985007e34"),
        z: BigUint::from(1_u8),
    },
});

impl P224 {
    fn multiply(&self, a: &BigUint, b: &BigUint) -> BigUint {
        a * b % &self.p
    }

    fn subtract(&self, a: &BigUint, b: &BigUint) -> BigUint {
        (a + &self.p - b) % &self.p
    }

    fn double(&self, point: &Point) -> Point {
        let zz = self.multiply(&point.z, &point.z);
        let yy = self.multiply(&point.y, &point.y);
        let s = BigUint::from(4_u8) * self.multiply(&point.x, &yy) % &self.p;
        let m = BigUint::from(3_u8)
            * self.multiply(&self.subtract(&point.x, &zz), &((&point.x + &zz) % &self.p))
            % &self.p;
        let twice = BigUint::from(2_u8) * &s % &self.p;
        let x = self.subtract(&self.multiply(&m, &m), &twice);
        let eight = BigUint::from(8_u8) * self.multiply(&yy, &yy) % &self.p;
        let y = self.subtract(&self.multiply(&m, &self.subtract(&s, &x)), &eight);
        let z = BigUint::from(2_u8) * self.multiply(&point.y, &point.z) % &self.p;
        Point { x, y, z }
    }

    fn add(&self, a: &Point, b: &Point) -> Point {
        let zero = BigUint::ZERO;
        if a.z == zero {
            return b.clone();
        }
        if b.z == zero {
            return a.clone();
        }
        let (za, zb) = (self.multiply(&a.z, &a.z), self.multiply(&b.z, &b.z));
        let (ua, ub) = (self.multiply(&a.x, &zb), self.multiply(&b.x, &za));
        let sa = self.multiply(&a.y, &self.multiply(&zb, &b.z));
        let sb = self.multiply(&b.y, &self.multiply(&za, &a.z));
        let (h, r) = (self.subtract(&ub, &ua), self.subtract(&sb, &sa));
        if h == zero {
            let infinity = Point {
                x: zero.clone(),
                y: zero.clone(),
                z: zero.clone(),
            };
            return if r == zero { self.double(a) } else { infinity };
        }
        let hh = self.multiply(&h, &h);
        let hhh = self.multiply(&hh, &h);
        let v = self.multiply(&ua, &hh);
        let twice = BigUint::from(2_u8) * &v % &self.p;
        let x = self.subtract(&self.subtract(&self.multiply(&r, &r), &hhh), &twice);
        let y = self.subtract(
            &self.multiply(&r, &self.subtract(&v, &x)),
            &self.multiply(&sa, &hhh),
        );
        let z = self.multiply(&h, &self.multiply(&a.z, &b.z));
        Point { x, y, z }
    }

    /// a·G + b·Q.
    fn combine(&self, a: &BigUint, b: &BigUint, q: &Point) -> Point {
        let both = self.add(&self.generator, q);
        let mut sum = Point {
            x: BigUint::ZERO,
            y: BigUint::ZERO,
            z: BigUint::ZERO,
        };
        for bit in (0..a.bits().max(b.bits())).rev() {
            sum = self.double(&sum);
            match (a.bit(bit), b.bit(bit)) {
                (true, true) => sum = self.add(&sum, &both),
                (true, false) => sum = self.add(&sum, &self.generator),
                (false, true) => sum = self.add(&sum, q),
                (false, false) => {}
            }
        }
        sum
    }
}

/// ECDSA (FIPS 186-5, section 6.4.2) on P-224. The point is uncompressed, the signature DER.
pub(super) fn ecdsa_p224(point: &[u8], kind: Hash, message: &[u8], signature: &[u8]) -> bool {
    verify_p224(point, kind, message, signature).unwrap_or(false)
}

fn verify_p224(point: &[u8], kind: Hash, message: &[u8], signature: &[u8]) -> Option<bool> {
    let curve = &*P224;
    let mut whole = DerReader::new(signature);
    let mut numbers = whole.read(tag::SEQUENCE)?;
    let mut number = || {
        let bytes = numbers.integer(tag::INTEGER)?.bytes();
        let negative = bytes.first()? & 0x80 != 0;
        let number = BigUint::from_bytes_be(bytes);
        (!negative && number != BigUint::ZERO && number < curve.order).then_some(number)
    };
    let (r, s) = (number()?, number()?);
    if !whole.is_empty() || !numbers.is_empty() {
        return None;
    }
    let (x, y) = point.get(1..)?.split_at_checked(28)?;
    // That it is on the curve was seen when the certificate was parsed.
    let q = Point {
        x: BigUint::from_bytes_be(x),
        y: BigUint::from_bytes_be(y),
        z: BigUint::from(1_u8),
    };
    // The leftmost 224 bits.
    let e = BigUint::from_bytes_be(hash(kind, &[message]).get(..28)?);
    let w = s.modinv(&curve.order)?;
    let (u, v) = (e * &w % &curve.order, &r * &w % &curve.order);
    let sum = curve.combine(&u, &v, &q);
    let z = sum.z.modinv(&curve.p)?;
    let x = curve.multiply(&sum.x, &curve.multiply(&z, &z));
    Some(x % &curve.order == r)
}
