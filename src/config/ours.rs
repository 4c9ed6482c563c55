//! Whether a file is one of ours, or blackbox_exporter's as it is: by its keys. What is not ours says no more than what
//! stands there, so no variable is expanded in it.

use super::node::Node;

/// Keys of a module that are ours: of the module itself, then by block.
const OF_MODULES: [&str; 1] = ["dns_servers"];
const OF_BLOCKS: [(&str, &[&str]); 5] = [
    ("http", &["decode_charset", "trace_context"]),
    ("dns", &["edns_udp_size"]),
    ("icmp", &["packets", "packet_interval", "max_loss"]),
    ("grpc", &["trace_context"]),
    ("websocket", &["trace_context"]),
];
/// And of every `tls_config`, wherever it stands.
const OF_TLS: [&str; 1] = ["crl_file"];

/// Whether a key in it is not one of blackbox_exporter's.
pub(super) fn has_own_key(root: &Node) -> bool {
    let Node::Map(entries) = root else { return false };
    if entries.iter().any(|(key, _)| key != "modules") {
        return true;
    }
    let Some(Node::Map(modules)) = root.get("modules") else { return false };
    modules.iter().any(|(_, module)| {
        has_any(module, &OF_MODULES)
            || OF_BLOCKS.iter().any(|(block, keys)| module.get(block).is_some_and(|block| has_any(block, keys)))
            || has_own_tls(module)
    })
}

fn has_any(node: &Node, keys: &[&str]) -> bool {
    keys.iter().any(|key| node.get(key).is_some())
}

fn has_own_tls(node: &Node) -> bool {
    match node {
        Node::Map(entries) => {
            entries.iter().any(|(key, child)| (key == "tls_config" && has_any(child, &OF_TLS)) || has_own_tls(child))
        }
        Node::List(_)
        | Node::Null
        | Node::Bool(_)
        | Node::Int(_)
        | Node::Float(..)
        | Node::Text(_)
        | Node::Binary(_) => false,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::super::load::{Format, parse};
    use super::super::problem::Problems;
    use super::*;

    #[test]
    fn a_file_is_ours_by_any_key_that_is_ours() {
        for (text, ours) in [
            ("modules: {m: {prober: http, http: {headers: {dns_servers: a, global: b, crl_file: c}}}}", false),
            ("modules: {global: {prober: http}, crl_file: {prober: tcp}}", false),
            ("modules: {m: {prober: http, http: {tls_config: {ca_file: a}}}}", false),
            ("modules: {}", false),
            ("modules: {}\nglobal: {}", true),
            ("modules: {}\ntargets: []", true),
            ("modules: {}\nx-anchors: {}", true),
            ("modules: {m: {prober: http, dns_servers: []}}", true),
            ("modules: {m: {prober: http, http: {decode_charset: false}}}", true),
            ("modules: {m: {prober: dns, dns: {edns_udp_size: 1232}}}", true),
            ("modules: {m: {prober: http, http: {trace_context: true}}}", true),
            ("modules: {m: {prober: grpc, grpc: {trace_context: {sampled: false}}}}", true),
            ("modules: {m: {prober: websocket, websocket: {trace_context: true}}}", true),
            ("modules: {m: {prober: tcp, tcp: {trace_context: true}}}", false),
            ("modules: {m: {prober: icmp, icmp: {max_loss: 0.5}}}", true),
            ("modules: {m: {prober: tcp, tcp: {tls_config: {crl_file: a}}}}", true),
            ("modules: {m: {prober: http, http: {oauth2: {tls_config: {crl_file: a}}}}}", true),
        ] {
            let mut problems = Problems::default();
            let file = problems.file("t".into());
            let node = parse(text, Format::Yaml, file, &mut problems).unwrap();
            assert_eq!(has_own_key(&node), ours, "{text}");
        }
    }
}
