//! RSA-PSS with keys of fewer than 2048 bits (RFC 8017, 8.1.2 and 9.1.2). The library has none, and servers choose PSS
//! where it is offered: a device with an RSA-1024 key would be refused that its makers and the incumbent find fine.
//!
//! Nothing here is secret, so nothing need take constant time.

use num_bigint::BigUint;
use rustls::SignatureScheme;
use sha2::{Digest, Sha256, Sha384, Sha512};

/// The library's own bound. Large exponents take long and nobody has them.
const EXPONENT_BYTES: usize = 4;

/// Whether `signature` is one of `message` by the key; `None` for schemes other than PSS.
pub(super) fn verify(
    modulus: &[u8],
    exponent: &[u8],
    scheme: SignatureScheme,
    message: &[u8],
    signature: &[u8],
) -> Option<bool> {
    let key = Key { modulus, exponent };
    #[allow(clippy::wildcard_enum_match_arm)] // the three schemes of PSS for keys of plain RSA
    match scheme {
        SignatureScheme::RSA_PSS_SHA256 => Some(key.verify::<Sha256>(message, signature).is_some()),
        SignatureScheme::RSA_PSS_SHA384 => Some(key.verify::<Sha384>(message, signature).is_some()),
        SignatureScheme::RSA_PSS_SHA512 => Some(key.verify::<Sha512>(message, signature).is_some()),
        _ => None,
    }
}

/// Big-endian; zeroes in front do not count.
struct Key<'a> {
    modulus: &'a [u8],
    exponent: &'a [u8],
}

impl Key<'_> {
    /// `Some` for a right signature. TLS fixes the salt's length to the hash's (RFC 8446, 4.2.3).
    fn verify<H: Digest>(&self, message: &[u8], signature: &[u8]) -> Option<()> {
        let (modulus, exponent) = (BigUint::from_bytes_be(self.modulus), BigUint::from_bytes_be(self.exponent));
        let bits = usize::try_from(modulus.bits()).ok()?;
        let signed = BigUint::from_bytes_be(signature);
        let odd = modulus.bit(0) && exponent.bit(0);
        if !odd
            || exponent.bits() > 8 * EXPONENT_BYTES as u64
            || signature.len() != bits.div_ceil(8)
            || signed >= modulus
        {
            return None;
        }
        let encoded = signed.modpow(&exponent, &modulus).to_bytes_be();
        // One bit less than the modulus, so that every such number is below it.
        let length = (bits - 1).div_ceil(8);
        let mut padded = vec![0; length.checked_sub(encoded.len())?];
        padded.extend_from_slice(&encoded);

        let hash = <H as Digest>::output_size();
        let zeroes = length.checked_sub(2 * hash + 2)?;
        let (masked, rest) = padded.split_at(length - hash - 1);
        let (digest, trailer) = rest.split_at(hash);
        let top = 0xff_u8 >> (8 * length - (bits - 1));
        if trailer != [0xbc] || masked[0] & !top != 0 {
            return None;
        }
        let mut block: Vec<u8> = masked.iter().zip(mask::<H>(digest, masked.len())).map(|(a, b)| a ^ b).collect();
        block[0] &= top;
        let (padding, salted) = block.split_at(zeroes);
        let (one, salt) = salted.split_first()?;
        if padding.iter().any(|&byte| byte != 0) || *one != 1 {
            return None;
        }
        let expected = H::new().chain_update([0; 8]).chain_update(H::digest(message)).chain_update(salt).finalize();
        (expected[..] == *digest).then_some(())
    }
}

/// MGF1 (RFC 8017, B.2.1).
fn mask<H: Digest>(seed: &[u8], length: usize) -> Vec<u8> {
    let blocks = (0_u32..).map(|counter| H::new().chain_update(seed).chain_update(counter.to_be_bytes()).finalize());
    let mut mask = Vec::with_capacity(length + <H as Digest>::output_size());
    for block in blocks.take(length.div_ceil(<H as Digest>::output_size())) {
        mask.extend_from_slice(&block);
    }
    mask.truncate(length);
    mask
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MESSAGE: &[u8] = b"signed by OpenSSL";
    const EXPONENT: [u8; 3] = [1, 0, 1];

    /// Moduli of 1024 and of 1025 bits (where the encoded block is a byte shorter than the signature), and what
    /// `openssl dgst -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:digest` made with them.
    const SIGNED: [(SignatureScheme, &str, &str); 4] = [
        (
            SignatureScheme::RSA_PSS_SHA256,
            "d1b0d1a2145b210bd8c9f3ca891ddfdb1d5ac5b1d4f43c06bfa849605f265a94b5306fb74527e2afceaa601f007c5a1ec766\
        30c186a4653b9ede4dfeb7248c53b6f3e9f973f3d11ad67212357c28996f14a3f0c1105341270584edebd892a5112c2e72c1\
        66a41ac2721b68a2118188e2da5957efe6bd2ff8fa79132dac08d749",
            "9d9a6d1955451d76631047502d072426dabed11f3cb6f2a3d50488426f87bf8a12abf9e10b8f558af500a71403f29da0e775\
        272aa4d27844913c99ca38f0d0782c292b18a33f88cbf8b11bedc8379cdaa43e068ea59cdfe4465a30f0f38819d655443904\
        fe5d3df8f1df1ed58eeb17aeb5e7bfa33e2ca66d93de6319c1aba32c",
        ),
        (
            SignatureScheme::RSA_PSS_SHA384,
            "d1b0d1a2145b210bd8c9f3ca891ddfdb1d5ac5b1d4f43c06bfa849605f265a94b5306fb74527e2afceaa601f007c5a1ec766\
        30c186a4653b9ede4dfeb7248c53b6f3e9f973f3d11ad67212357c28996f14a3f0c1105341270584edebd892a5112c2e72c1\
        66a41ac2721b68a2118188e2da5957efe6bd2ff8fa79132dac08d749",
            "b901d3a0ed0550fb9307670452b3f9cd09a08752cdbd63554dd1741aa20435b7bd50ac24f9774349fd2daab278abd2724d74\
        bf737f1bdab1504cd6f43a86337e9aaf1b61fa449e66d4c2221c90b3b3e6a267de59f83ebd21e051b7e30fb7ccdd2c6bbb1e\
        a2263ac1f2fbcbaccf52bf74c62c92a093045097759f6b84538a182f",
        ),
        (
            SignatureScheme::RSA_PSS_SHA256,
            "013ba63d9d9a120e245f58834809efdb5f6193f20e32f10a690533432f20047ce6aae5f60a88087bdf18e8db5f4df5d442f0\
        9d2f8c5a41c10351782449fc4809a8065821d7c8e858bc7c45eeae5c658d6aeef41e6593abcad424016d3cc7d6724eaa4fea\
        d5c0aec779aa843416030b02f580c4fbaa5dc183ae8f1745ed2950ee77",
            "0033daeaea2e308193d34bc684d0985eec5e0e9b1396d4c3e7d1f0a3885fc46de7150e7bb279e9ca6d12095f6872637eaa0f\
        835068b601d483aae7bc92a7ab35a7f313f3c881bc6c102100a4e43ffb129ec0c725f5d4e7f3334fcf6ef4b3ce383298dc89\
        20deba39f62eb61d4a3fdbd95efacb8dc3407456d8aec4c9aed9ed8e3f",
        ),
        (
            SignatureScheme::RSA_PSS_SHA384,
            "013ba63d9d9a120e245f58834809efdb5f6193f20e32f10a690533432f20047ce6aae5f60a88087bdf18e8db5f4df5d442f0\
        9d2f8c5a41c10351782449fc4809a8065821d7c8e858bc7c45eeae5c658d6aeef41e6593abcad424016d3cc7d6724eaa4fea\
        d5c0aec779aa843416030b02f580c4fbaa5dc183ae8f1745ed2950ee77",
            "0060093947526e7ff3581b76f832220fcdf23d919690d88b3037f2f924ac8079c1c7d480f26df2eeb5262b752a0e2e8ee3d5\
        c392b501c1929c7d598f88c530497407dbb04d722cd80f6866f18805e3d98f679c1ad3e358f317354967078759641a8e9f01\
        c67cf18884b1a49de7e985bc670b2a1f409ca27cf1a187add38a7020cf",
        ),
    ];

    fn bytes(hex: &str) -> Vec<u8> {
        let digits: Vec<u8> = hex.chars().filter_map(|c| c.to_digit(16)).filter_map(|d| u8::try_from(d).ok()).collect();
        digits.chunks_exact(2).map(|pair| pair[0] * 16 + pair[1]).collect()
    }

    #[test]
    fn what_openssl_signed_is_right_and_with_any_change_wrong() {
        for (scheme, modulus, signature) in SIGNED {
            let (modulus, signature) = (bytes(modulus), bytes(signature));
            let check = |message: &[u8], signature: &[u8]| verify(&modulus, &EXPONENT, scheme, message, signature);
            assert_eq!(check(MESSAGE, &signature), Some(true), "{scheme:?}");
            assert_eq!(check(b"something else", &signature), Some(false));
            for place in 0..signature.len() {
                let mut changed = signature.clone();
                changed[place] ^= 1;
                assert_eq!(check(MESSAGE, &changed), Some(false), "{place}");
            }
            assert_eq!(check(MESSAGE, &signature[1..]), Some(false));
            assert_eq!(check(MESSAGE, &[&[0], &signature[..]].concat()), Some(false));
        }
    }

    #[test]
    fn other_schemes_and_other_hashes_are_not_taken_for_it() {
        let (_, modulus, signature) = SIGNED[0];
        let check = |scheme| verify(&bytes(modulus), &EXPONENT, scheme, MESSAGE, &bytes(signature));
        assert_eq!(check(SignatureScheme::RSA_PSS_SHA384), Some(false));
        assert_eq!(check(SignatureScheme::RSA_PSS_SHA512), Some(false), "which 1024 bits have no room for");
        assert_eq!(check(SignatureScheme::RSA_PKCS1_SHA256), None);
    }

    proptest! {
        #[test]
        fn no_key_and_no_signature_panic(
            modulus in proptest::collection::vec(any::<u8>(), 0..140), exponent in proptest::collection::vec(any::<u8>(), 0..6),
            signature in proptest::collection::vec(any::<u8>(), 0..140),
        ) {
            let _ = verify(&modulus, &exponent, SignatureScheme::RSA_PSS_SHA256, MESSAGE, &signature);
        }
    }
}
