//! Revoked certificates: by lists, by OCSP.

mod lists;
mod ocsp;
