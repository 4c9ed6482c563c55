//! The CBC suites of TLS 1.2, for peers that have nothing newer (RFC 5246, 6.2.3.2). rustls has none.
//!
//! rustls cuts the key block into keys and IVs of the two sides, as AEAD suites want it. The key block of a CBC suite is
//! MAC keys, then cipher keys: what rustls calls the key is the MAC's here, and what it calls the fixed IV is the cipher's.
//! Its keys end at 32 bytes, so the suites with SHA-384 cannot be built this way.
//!
//! MAC-then-encrypt invites Lucky 13: who can change records on the way and time our alert learns about what the *server*
//! wrote. A probe closes the connection at the first bad record and has little to lose: an answer that it fetches in the
//! open every minute; its own credentials travel the other way. Even so padding and MAC are checked without a branch on
//! secret bytes, both give one error, and the number of hashed blocks does not depend on the padding. What is left is the
//! noise of one call of the hash.

use aws_lc_rs::cipher::{
    AES_128, AES_256, Algorithm, DecryptingKey, DecryptionContext, EncryptingKey, EncryptionContext, UnboundCipherKey,
};
use aws_lc_rs::iv::FixedLength;
use aws_lc_rs::{constant_time, digest, hmac, rand};
use rustls::crypto::cipher::{
    AeadKey, InboundOpaqueMessage, InboundPlainMessage, KeyBlockShape, MessageDecrypter, MessageEncrypter,
    OutboundOpaqueMessage, OutboundPlainMessage, PrefixedPayload, Tls12AeadAlgorithm, UnsupportedOperationError,
    make_tls12_aad,
};
use rustls::{CipherSuite, ConnectionTrafficSecrets, Error};

const BLOCK: usize = 16;
/// The longest plaintext of a record (RFC 5246, 6.2.1).
const LONGEST: usize = 1 << 14;

/// AES in CBC mode with an HMAC of its own.
pub(super) struct Cbc {
    cipher: &'static Algorithm,
    key_len: usize,
    mac: hmac::Algorithm,
    hash: &'static digest::Algorithm,
}

static AES_128_SHA: Cbc = Cbc::sha1(&AES_128, 16);
static AES_256_SHA: Cbc = Cbc::sha1(&AES_256, 32);
static AES_128_SHA256: Cbc = Cbc { cipher: &AES_128, key_len: 16, mac: hmac::HMAC_SHA256, hash: &digest::SHA256 };

/// Which of the library's suites a CBC suite borrows key exchange, signatures and PRF from: that of the same kind of key
/// with SHA-256, the PRF of every TLS 1.2 suite that names no other.
pub(super) static SUITES: [(CipherSuite, CipherSuite, &Cbc); 6] = {
    use CipherSuite as C;
    let ecdsa = C::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256;
    let rsa = C::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256;
    [
        (C::TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA, ecdsa, &AES_256_SHA),
        (C::TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA, ecdsa, &AES_128_SHA),
        (C::TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA, rsa, &AES_256_SHA),
        (C::TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA, rsa, &AES_128_SHA),
        (C::TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256, ecdsa, &AES_128_SHA256),
        (C::TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256, rsa, &AES_128_SHA256),
    ]
};

impl Cbc {
    const fn sha1(cipher: &'static Algorithm, key_len: usize) -> Self {
        Self { cipher, key_len, mac: hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, hash: &digest::SHA1_FOR_LEGACY_USE_ONLY }
    }
}

impl Tls12AeadAlgorithm for Cbc {
    fn encrypter(&self, key: AeadKey, iv: &[u8], _: &[u8]) -> Box<dyn MessageEncrypter> {
        let cipher = UnboundCipherKey::new(self.cipher, iv).and_then(EncryptingKey::cbc).ok();
        Box::new(Encrypter { cipher, mac: hmac::Key::new(self.mac, key.as_ref()) })
    }

    fn decrypter(&self, key: AeadKey, iv: &[u8]) -> Box<dyn MessageDecrypter> {
        let cipher = UnboundCipherKey::new(self.cipher, iv).and_then(DecryptingKey::cbc).ok();
        Box::new(Decrypter { cipher, mac: hmac::Key::new(self.mac, key.as_ref()), hash: self.hash })
    }

    fn key_block_shape(&self) -> KeyBlockShape {
        KeyBlockShape { enc_key_len: self.hash.output_len(), fixed_iv_len: self.key_len, explicit_nonce_len: 0 }
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

struct Encrypter {
    /// `None` if the library refused the key, which it does for a wrong length alone.
    cipher: Option<EncryptingKey>,
    mac: hmac::Key,
}

impl MessageEncrypter for Encrypter {
    fn encrypt(&mut self, message: OutboundPlainMessage<'_>, seq: u64) -> Result<OutboundOpaqueMessage, Error> {
        let length = message.payload.len();
        let mut payload = PrefixedPayload::with_capacity(self.encrypted_payload_len(length));
        let mut iv = [0; BLOCK];
        rand::fill(&mut iv).map_err(|_| Error::EncryptError)?;
        payload.extend_from_slice(&iv);
        payload.extend_from_chunks(&message.payload);

        let mut mac = hmac::Context::with_key(&self.mac);
        mac.update(&make_tls12_aad(seq, message.typ, message.version, length));
        mac.update(&payload.as_ref()[BLOCK..]);
        payload.extend_from_slice(mac.sign().as_ref());

        // Each byte of padding is the number of those before the last.
        let padding = BLOCK - (payload.as_ref().len() % BLOCK);
        let byte = u8::try_from(padding - 1).map_err(|_| Error::EncryptError)?;
        payload.extend_from_slice(&[byte; BLOCK][..padding]);

        let cipher = self.cipher.as_ref().ok_or(Error::EncryptError)?;
        cipher
            .less_safe_encrypt(&mut payload.as_mut()[BLOCK..], EncryptionContext::Iv128(FixedLength::from(iv)))
            .map_err(|_| Error::EncryptError)?;
        Ok(OutboundOpaqueMessage::new(message.typ, message.version, payload))
    }

    fn encrypted_payload_len(&self, payload_len: usize) -> usize {
        let signed = payload_len + self.mac.algorithm().tag_len();
        BLOCK + (signed / BLOCK + 1) * BLOCK
    }
}

struct Decrypter {
    cipher: Option<DecryptingKey>,
    mac: hmac::Key,
    hash: &'static digest::Algorithm,
}

impl MessageDecrypter for Decrypter {
    fn decrypt<'a>(
        &mut self,
        mut record: InboundOpaqueMessage<'a>,
        seq: u64,
    ) -> Result<InboundPlainMessage<'a>, Error> {
        let tag_len = self.hash.output_len();
        let (typ, version) = (record.typ, record.version);
        let Some((iv, sealed)) = record.payload.split_first_chunk_mut::<BLOCK>() else {
            return Err(Error::DecryptError);
        };
        // At least a MAC and one byte of padding.
        if sealed.len() % BLOCK != 0 || sealed.len() < tag_len + 1 {
            return Err(Error::DecryptError);
        }
        let cipher = self.cipher.as_ref().ok_or(Error::DecryptError)?;
        let context = DecryptionContext::Iv128(FixedLength::from(*iv));
        let opened = cipher.decrypt(sealed, context).map_err(|_| Error::DecryptError)?;

        let (padding, padding_is_right) = padding(opened, tag_len);
        let length = opened.len() - tag_len - padding;
        let mut mac = hmac::Context::with_key(&self.mac);
        mac.update(&make_tls12_aad(seq, typ, version, length));
        mac.update(&opened[..length]);
        let mac = mac.sign();
        self.even_out(opened.len() - tag_len - 1, length);
        let mac_is_right = constant_time::verify_slices_are_equal(mac.as_ref(), &opened[length..length + tag_len]);
        if !(padding_is_right & mac_is_right.is_ok()) {
            return Err(Error::DecryptError);
        }
        if length > LONGEST {
            return Err(Error::PeerSentOversizedRecord);
        }
        Ok(record.into_plain_message_range(BLOCK..BLOCK + length))
    }
}

impl Decrypter {
    /// Hashes as many blocks as a record without padding would have had more.
    fn even_out(&self, longest: usize, length: usize) {
        // SHA-1 and SHA-256 alike: blocks of 64, at least 9 bytes at the end; HMAC puts one block in front.
        const HASHED: usize = 64;
        let blocks = |length: usize| (13 + length + 9).div_ceil(HASHED);
        // 255 bytes of padding are four blocks, or five by the way that they fall.
        const ZEROES: [u8; HASHED * 5] = [0; HASHED * 5];
        let more = (blocks(longest) - blocks(length)).min(5);
        let mut idle = digest::Context::new(self.hash);
        idle.update(&ZEROES[..more * HASHED]);
        std::hint::black_box(&idle);
    }
}

/// How many bytes of padding there are, with the one that says so, and whether all are as they should be. Wrong padding
/// counts as the one byte alone: the MAC is checked over what is left, and fails.
fn padding(opened: &[u8], tag_len: usize) -> (usize, bool) {
    const MOST: usize = 256;
    let last = opened.last().copied().unwrap_or_default();
    let said = usize::from(last);
    let room = opened.len() - tag_len - 1;
    // 1 when the padding that is said does not fit.
    let mut wrong = below(room, said);
    // As many bytes are looked at whatever the last one says.
    for (place, &byte) in opened.iter().rev().take(MOST).enumerate() {
        let within = 1 ^ below(said, place);
        let differs = usize::from((byte ^ last) != 0);
        wrong |= within & differs;
    }
    (1 + said * (1 ^ wrong), wrong == 0)
}

/// 1 if `a < b`, else 0, for numbers far below `usize::MAX / 2`: the sign of the difference.
fn below(a: usize, b: usize) -> usize {
    a.wrapping_sub(b) >> (usize::BITS - 1)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;
    use rustls::crypto::cipher::OutboundChunks;
    use rustls::{ContentType, ProtocolVersion};

    use super::*;

    const VERSION: ProtocolVersion = ProtocolVersion::TLSv1_2;

    fn key(bytes: &[u8]) -> AeadKey {
        // Only rustls makes keys shorter than 32 bytes; HMAC takes any length.
        let mut whole = [0; 32];
        whole[..bytes.len()].copy_from_slice(bytes);
        AeadKey::from(whole)
    }

    fn seal(suite: &Cbc, plain: &[u8], seq: u64) -> Vec<u8> {
        let iv = vec![7; suite.key_len];
        let mut encrypter = suite.encrypter(key(b"mac"), &iv, &[]);
        let chunks = OutboundChunks::Single(plain);
        let message = OutboundPlainMessage { typ: ContentType::ApplicationData, version: VERSION, payload: chunks };
        let announced = encrypter.encrypted_payload_len(plain.len());
        let record = encrypter.encrypt(message, seq).unwrap().encode()[5..].to_vec();
        assert_eq!(record.len(), announced);
        record
    }

    fn open(suite: &Cbc, record: &mut [u8], seq: u64) -> Result<Vec<u8>, Error> {
        let iv = vec![7; suite.key_len];
        let mut decrypter = suite.decrypter(key(b"mac"), &iv);
        let message = InboundOpaqueMessage::new(ContentType::ApplicationData, VERSION, record);
        decrypter.decrypt(message, seq).map(|plain| plain.payload.to_vec())
    }

    /// A record whose bytes before encryption are of the test's choice.
    fn sealed_raw(suite: &Cbc, plain: &[u8], after_mac: &[u8], seq: u64) -> Vec<u8> {
        let mut mac = hmac::Context::with_key(&hmac::Key::new(suite.mac, key(b"mac").as_ref()));
        mac.update(&make_tls12_aad(seq, ContentType::ApplicationData, VERSION, plain.len()));
        mac.update(plain);
        let mut inner = [plain, mac.sign().as_ref(), after_mac].concat();
        let cipher = UnboundCipherKey::new(suite.cipher, &vec![7; suite.key_len]).and_then(EncryptingKey::cbc).unwrap();
        let iv = [9; BLOCK];
        cipher.less_safe_encrypt(&mut inner, EncryptionContext::Iv128(FixedLength::from(iv))).unwrap();
        [&iv[..], &inner].concat()
    }

    const ALL: [&Cbc; 3] = [&AES_128_SHA, &AES_256_SHA, &AES_128_SHA256];

    #[test]
    fn what_is_sealed_opens_with_the_same_number_and_no_other() {
        for suite in ALL {
            for length in (0..70).chain([255, 1000, LONGEST]) {
                let plain: Vec<u8> = (0..length).map(|i| u8::try_from(i % 251).unwrap()).collect();
                let record = seal(suite, &plain, 3);
                assert_eq!(open(suite, &mut record.clone(), 3).unwrap(), plain);
                assert_eq!(open(suite, &mut record.clone(), 4), Err(Error::DecryptError));
            }
        }
    }

    #[test]
    fn all_lengths_of_padding_open_and_each_wrong_byte_is_noticed() {
        for suite in ALL {
            // Fills the first block, so that all of the padding is after it.
            let plain = vec![1; 64 + BLOCK - suite.hash.output_len() % BLOCK];
            for blocks in 1..=16_usize {
                let padding = vec![u8::try_from(blocks * BLOCK - 1).unwrap(); blocks * BLOCK];
                assert_eq!(open(suite, &mut sealed_raw(suite, &plain, &padding, 0), 0).unwrap(), plain);
                for wrong in 0..padding.len() - 1 {
                    let mut padding = padding.clone();
                    padding[wrong] ^= 1;
                    let opened = open(suite, &mut sealed_raw(suite, &plain, &padding, 0), 0);
                    assert_eq!(opened, Err(Error::DecryptError), "byte {wrong} of {blocks} blocks");
                }
            }
        }
    }

    #[test]
    fn padding_longer_than_the_record_is_refused() {
        for suite in ALL {
            let plain = vec![1; BLOCK - suite.hash.output_len() % BLOCK];
            for said in [48, 80, 255] {
                let opened = open(suite, &mut sealed_raw(suite, &plain, &[said; BLOCK], 0), 0);
                assert_eq!(opened, Err(Error::DecryptError));
            }
        }
    }

    #[test]
    fn a_record_of_any_other_length_is_refused() {
        for suite in ALL {
            for length in (0..=BLOCK + suite.hash.output_len()).chain([BLOCK * 7 + 1]) {
                assert_eq!(open(suite, &mut vec![0; length], 0), Err(Error::DecryptError), "{length}");
            }
        }
    }

    #[test]
    fn below_is_less_than() {
        for (a, b) in [(0, 0), (0, 1), (1, 0), (255, 256), (256, 255), (17_000, 3)] {
            assert_eq!(below(a, b) == 1, a < b);
        }
    }

    proptest! {
        #[test]
        fn no_record_panics_and_no_changed_one_opens(
            plain in proptest::collection::vec(any::<u8>(), 0..200), place: usize, change in 1_u8..,
            noise in proptest::collection::vec(any::<u8>(), 0..400),
        ) {
            for suite in ALL {
                let mut record = seal(suite, &plain, 0);
                let length = record.len();
                record[place % length] ^= change;
                prop_assert_eq!(open(suite, &mut record, 0), Err(Error::DecryptError));
                prop_assert!(open(suite, &mut noise.clone(), 0).is_err());
            }
        }
    }
}
