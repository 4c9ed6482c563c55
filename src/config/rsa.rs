//! RSA keys, as far as their size goes.

/// Bits of a modulus, which may begin with zeros.
pub(crate) fn bits(modulus: &[u8]) -> usize {
    let zeros = modulus.iter().take_while(|byte| **byte == 0).count();
    let unset = modulus.get(zeros).map_or(0, |first| first.leading_zeros() as usize);
    8 * (modulus.len() - zeros) - unset
}

#[cfg(test)]
mod tests {
    use super::bits;

    #[test]
    fn zeros_in_front_do_not_count() {
        for (modulus, wanted) in
            [(&[][..], 0), (&[0, 0], 0), (&[1], 1), (&[0, 0x80, 0], 16), (&[0x7f, 0xff], 15), (&[0xff; 128], 1024)]
        {
            assert_eq!(bits(modulus), wanted, "{modulus:?}");
        }
    }
}
