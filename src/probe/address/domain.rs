//! Which names are of one owner.

/// What somebody can register, by the public suffix list: `example.co.uk` of `www.example.co.uk`.
pub(crate) fn registrable_domain(name: &str) -> Option<&str> {
    let name = name.trim_end_matches('.');
    let domain = psl::domain(name.as_bytes())?;
    // A name of one label, and what no registry knows, are nobody's.
    std::str::from_utf8(domain.as_bytes()).ok().filter(|domain| domain.contains('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_domain_is_what_one_can_register() {
        for (name, domain) in [
            ("www.example.co.uk", Some("example.co.uk")),
            ("example.com", Some("example.com")),
            ("d111.cloudfront.net", Some("d111.cloudfront.net")),
            ("a.b.internal.corp", Some("internal.corp")),
            ("com", None),
            ("localhost", None),
            ("", None),
        ] {
            assert_eq!(registrable_domain(name), domain, "{name}");
        }
    }
}
