//! What `/config` shows: the file as it is meant (aliases and merges resolved), with nothing secret in it.
//!
//! Works on the tree before variables are expanded, so a secret from the environment cannot get in.

use std::collections::BTreeMap;

use super::Secret;
use super::load::render;
use super::node::Node;

/// The file as YAML, secrets replaced by [`Secret::MASK`].
pub(super) fn masked_yaml(node: &Node) -> String {
    let mut node = node.clone();
    mask(&mut node, Place::Other);
    render(&node)
}

/// Each module by itself, masked.
pub(super) fn masked_modules(root: &Node) -> BTreeMap<String, String> {
    let Some(Node::Map(modules)) = root.get("modules") else { return BTreeMap::new() };
    modules.iter().map(|(name, module)| (name.clone(), masked_yaml(module))).collect()
}

/// What a mapping's keys mean.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Keys of the schema.
    Other,
    /// Names chosen by the user: header names, parameters.
    Names,
    /// Labels are public whatever they are called.
    Labels,
    /// All values below are secret.
    Secret,
    /// Keys of a `tls_config`.
    Tls,
}

fn mask(node: &mut Node, place: Place) {
    match node {
        Node::Text(text) => {
            if place == Place::Secret {
                *text = Secret::MASK.to_owned();
            } else if text.contains("://") {
                *text = mask_url(text);
            }
        }
        Node::Binary(_) | Node::Int(_) | Node::Float(..) | Node::Bool(_) => {
            if place == Place::Secret {
                *node = Node::Text(Secret::MASK.to_owned());
            }
        }
        Node::Null => {}
        Node::List(items) => items.iter_mut().for_each(|item| mask(item, place)),
        Node::Map(entries) => {
            for (key, child) in entries {
                mask(child, below(place, key));
                match child {
                    Node::Text(text) if key == "target" => *text = mask_address(text),
                    // A file_sd group: addresses alone.
                    Node::List(items) if key == "targets" => items.iter_mut().for_each(|item| {
                        if let Node::Text(text) = item {
                            *text = mask_address(text);
                        }
                    }),
                    Node::Null
                    | Node::Bool(_)
                    | Node::Int(_)
                    | Node::Float(..)
                    | Node::Text(_)
                    | Node::Binary(_)
                    | Node::List(_)
                    | Node::Map(_) => {}
                }
            }
        }
    }
}

fn below(place: Place, key: &str) -> Place {
    match (place, key) {
        (Place::Secret, _) => Place::Secret,
        (Place::Labels, _) => Place::Labels,
        (Place::Names, _) => {
            if names_a_secret(key) {
                Place::Secret
            } else {
                // `http_headers` has one more level of schema keys below the names.
                Place::Other
            }
        }
        (Place::Tls, "key") => Place::Secret,
        (_, "labels") => Place::Labels,
        (_, "headers" | "http_headers" | "metadata" | "endpoint_params" | "claims") => Place::Names,
        (_, "secrets" | "proxy_connect_header") => Place::Secret,
        (_, "tls_config") => Place::Tls,
        (
            _,
            "password" | "credentials" | "client_secret" | "client_certificate_key" | "bearer_token" | "secret_headers",
        ) => Place::Secret,
        _ => Place::Other,
    }
}

/// Whether something of this name is likely a secret; used for header names and for messages.
pub(super) fn names_a_secret(name: &str) -> bool {
    const WORDS: &[&str] =
        &["auth", "cookie", "token", "secret", "password", "passwd", "credential", "signature", "session", "assertion"];
    let name = name.to_ascii_lowercase();
    if name.ends_with("_file") || name.ends_with("_ref") {
        return false;
    }
    WORDS.iter().any(|word| name.contains(word))
        || name == "key"
        || name.ends_with("-key")
        || name.ends_with("_key")
        || name.ends_with("apikey")
}

/// The password of a URL, or a lone user name (often a token), replaced; text that is no URL comes back as it is.
pub(super) fn mask_url(text: &str) -> String {
    match text.find("://") {
        Some(colon) => mask_authority(text, colon + 3),
        None => text.to_owned(),
    }
}

/// The same for a target, which may come without a scheme.
pub(crate) fn mask_address(text: &str) -> String {
    if text.contains("://") { mask_url(text) } else { mask_authority(text, 0) }
}

/// The same for text that failed to parse as an address: a password with an unescaped `/` may reach far.
pub(crate) fn mask_broken_address(text: &str) -> String {
    match (text.find("://"), text.rfind('@')) {
        (scheme, Some(at)) => {
            let start = scheme.map_or(0, |colon| colon + 3).min(at);
            format!("{}{}{}", &text[..start], Secret::MASK, &text[at..])
        }
        (_, None) => text.to_owned(),
    }
}

fn mask_authority(text: &str, start: usize) -> String {
    let (head, rest) = text.split_at(start);
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let Some(at) = rest[..end].rfind('@') else { return text.to_owned() };
    let (user, tail) = rest.split_at(at);
    match user.split_once(':') {
        Some((user, _)) => format!("{head}{user}:{}{tail}", Secret::MASK),
        None => format!("{head}{}{tail}", Secret::MASK),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::load::{Format, parse};
    use super::super::problem::Problems;
    use super::*;

    #[test]
    fn passwords_in_addresses_do_not_show() {
        for (address, shown) in [
            ("https://u:p@h/x?y", "https://u:<secret>@h/x?y"),
            ("https://u:p@ss@h/", "https://u:<secret>@h/"),
            ("https://token@h", "https://<secret>@h"),
            ("u:p@h:1/", "u:<secret>@h:1/"),
            ("https://h/a@b", "https://h/a@b"),
            ("h:25", "h:25"),
        ] {
            assert_eq!(mask_address(address), shown);
        }
    }

    #[test]
    fn secrets_do_not_show_and_the_rest_does() {
        let yaml = "\
modules:
  m:
    prober: http
    http:
      basic_auth: {username: u, password: hunter2}
      authorization: {credentials: hunter2}
      bearer_token: hunter2
      oauth2: {client_secret: hunter2, client_id: me, endpoint_params: {password: hunter2, audience: shown}}
      headers: {Authorization: hunter2, X-Api-Key: hunter2, Cookie: a=hunter2, X-Shown: shown, X-Token: 2}
      http_headers: {X-A: {values: [shown], secrets: [hunter2]}, X-Session-Id: {values: [hunter2]}}
      proxy_connect_header: {X-B: [hunter2]}
      proxy_url: http://u:hunter2@p:1
      tls_config: {key: hunter2, key_file: shown.key, cert: shown}
      body: shown
targets:
  - {name: a, target: 'u:hunter2@h', labels: {key: shown, token: shown}}
  - targets: ['u:hunter2@h', 'http://hunter2@h']
  - {name: b, target: '${URL:-http://u:hunter2@h}'}
";
        let mut problems = Problems::default();
        let file = problems.file("t".into());
        let node = parse(yaml, Format::Yaml, file, &mut problems).unwrap();
        let text = masked_yaml(&node);
        assert!(!text.contains("hunter2"), "{text}");
        assert_eq!(text.matches("shown").count(), yaml.matches("shown").count(), "{text}");
    }
}
