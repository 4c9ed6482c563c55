//! Serde mirror of the file: what may be written, nothing of what it means. Private to `config`.
//!
//! Unknown keys are refused by `shape`, which knows each struct's fields. The modules' blocks are the schema of
//! blackbox_exporter 0.28, key by key; what is ours is marked so.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// A duration as text; `units` reads it.
#[derive(Debug, Deserialize)]
pub(super) struct DurationText(pub(super) String);

/// A string that no message may show.
#[derive(Debug, Default, Deserialize)]
pub(super) struct SecretText(pub(super) String);

/// A whole number that may be written as a fraction, of which the whole part counts, as Go's reader has it.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(super) struct WholePart(pub(super) i64);

/// The same as text, for a status or a class of them.
#[derive(Debug, Deserialize)]
pub(super) struct StatusText(pub(super) String);

/// Text or `!!binary`.
#[derive(Debug, Default)]
pub(super) struct BytesText(pub(super) Vec<u8>);

impl<'de> Deserialize<'de> for BytesText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Bytes;

        impl Visitor<'_> for Bytes {
            type Value = BytesText;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_byte_buf<E>(self, bytes: Vec<u8>) -> Result<BytesText, E> {
                Ok(BytesText(bytes))
            }
        }

        deserializer.deserialize_byte_buf(Bytes)
    }
}

/// Written as `true`, as `false`, or as the mapping that says more; `shape` reads the former as `{enabled: true}`.
#[derive(Debug, Deserialize)]
pub(super) struct SwitchOr<T>(pub(super) T);

/// A mapping with free keys, in the order of the file.
#[derive(Debug)]
pub(super) struct Entries<T>(pub(super) Vec<(String, T)>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Entries<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for InOrder<T> {
            type Value = Entries<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a mapping")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entries<T>, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Entries(entries))
            }
        }

        deserializer.deserialize_map(InOrder(PhantomData))
    }
}

/// The whole file. `modules`, `targets` and what finds targets are read item by item, from the tree.
#[derive(Debug, Default, Deserialize)]
pub(super) struct RawFile {
    pub(super) global: Option<RawGlobal>,
    #[serde(rename = "modules")]
    pub(super) _modules: Option<IgnoredAny>,
    #[serde(rename = "targets")]
    pub(super) _targets: Option<IgnoredAny>,
    pub(super) target_files: Option<Vec<String>>,
    #[serde(rename = "target_http")]
    pub(super) _target_http: Option<IgnoredAny>,
    #[serde(rename = "target_dns")]
    pub(super) _target_dns: Option<IgnoredAny>,
    pub(super) maintenance: Option<Vec<RawWindow>>,
    pub(super) notice_files: Option<Vec<String>>,
    pub(super) probe_endpoint: Option<RawProbeEndpoint>,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct RawProbeEndpoint {
    pub(super) enabled: Option<bool>,
    pub(super) allow: Option<Vec<String>>,
    pub(super) max_concurrent: Option<i64>,
}

/// An entry of a file of `notice_files`.
#[derive(Debug, Default, Deserialize)]
pub(super) struct RawNotice {
    pub(super) targets: Option<Vec<String>>,
    pub(super) labels: Option<Entries<String>>,
    pub(super) cause: Option<String>,
    pub(super) action: Option<String>,
    pub(super) next_update: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct RawWindow {
    pub(super) name: Option<String>,
    pub(super) targets: Option<Vec<String>>,
    pub(super) labels: Option<Entries<String>>,
    pub(super) time_zone: Option<String>,
    pub(super) once: Option<RawOnce>,
    pub(super) weekly: Option<RawWeekly>,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct RawOnce {
    pub(super) start: Option<String>,
    pub(super) end: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct RawWeekly {
    pub(super) days: Option<Vec<String>>,
    pub(super) start: Option<String>,
    pub(super) end: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct RawGlobal {
    pub(super) interval: Option<DurationText>,
    pub(super) timeout: Option<DurationText>,
    pub(super) labels: Option<Entries<String>>,
    pub(super) confirm: Option<RawConfirm>,
    pub(super) dns_servers: Option<Vec<String>>,
    pub(super) latency_buckets: Option<Vec<f64>>,
    pub(super) evidence_body: Option<bool>,
    pub(super) target_files_refresh_interval: Option<DurationText>,
    pub(super) anchors: Option<Vec<String>>,
    pub(super) slow_threshold: Option<DurationText>,
    pub(super) slo: Option<f64>,
    pub(super) diagnose: Option<bool>,
    pub(super) path: Option<RawPath>,
    pub(super) shared_cause: Option<RawSharedCause>,
    pub(super) trace_url: Option<String>,
    pub(super) region_name: Option<String>,
    /// Names and mappings, so it is read from the tree; in a target and a group too.
    #[serde(rename = "depends_on")]
    pub(super) _depends_on: Option<IgnoredAny>,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct RawSharedCause {
    pub(super) labels: Option<Vec<String>>,
    pub(super) min_targets: Option<i64>,
    pub(super) min_share: Option<f64>,
    pub(super) window: Option<DurationText>,
    pub(super) max_causes: Option<i64>,
}

/// An entry of `depends_on` that is no name.
#[derive(Debug, Default, Deserialize)]
pub(super) struct RawParents {
    pub(super) labels: Option<Entries<String>>,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct RawConfirm {
    pub(super) failures: Option<i64>,
    pub(super) retry_interval: Option<DurationText>,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct RawPath {
    pub(super) enabled: Option<bool>,
    pub(super) every: Option<DurationText>,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct RawTarget {
    pub(super) name: Option<String>,
    pub(super) target: Option<String>,
    pub(super) module: Option<String>,
    pub(super) interval: Option<DurationText>,
    pub(super) timeout: Option<DurationText>,
    pub(super) labels: Option<Entries<String>>,
    pub(super) confirm: Option<RawConfirm>,
    pub(super) dns_servers: Option<Vec<String>>,
    pub(super) latency_buckets: Option<Vec<f64>>,
    pub(super) evidence_body: Option<bool>,
    pub(super) display_name: Option<String>,
    pub(super) slow_threshold: Option<DurationText>,
    pub(super) slo: Option<f64>,
    pub(super) diagnose: Option<bool>,
    pub(super) path: Option<RawPath>,
    pub(super) resolve: Option<String>,
    pub(super) ip_protocol: Option<String>,
    pub(super) up_when: Option<String>,
    pub(super) max_addresses: Option<i64>,
    #[serde(rename = "depends_on")]
    pub(super) _depends_on: Option<IgnoredAny>,
    /// Merged into the module's block as trees, before either is read.
    #[serde(rename = "http")]
    pub(super) _http: Option<IgnoredAny>,
    #[serde(rename = "tcp")]
    pub(super) _tcp: Option<IgnoredAny>,
    #[serde(rename = "dns")]
    pub(super) _dns: Option<IgnoredAny>,
    #[serde(rename = "icmp")]
    pub(super) _icmp: Option<IgnoredAny>,
    #[serde(rename = "grpc")]
    pub(super) _grpc: Option<IgnoredAny>,
    #[serde(rename = "unix")]
    pub(super) _unix: Option<IgnoredAny>,
    #[serde(rename = "websocket")]
    pub(super) _websocket: Option<IgnoredAny>,
}

/// One group of a Prometheus file_sd file.
#[derive(Debug, Default, Deserialize)]
pub(super) struct RawTargetGroup {
    pub(super) targets: Option<Vec<String>>,
    pub(super) labels: Option<Entries<String>>,
    /// Ours.
    #[serde(rename = "depends_on")]
    pub(super) _depends_on: Option<IgnoredAny>,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct RawModule {
    pub(super) prober: Option<String>,
    pub(super) timeout: Option<DurationText>,
    #[serde(rename = "http")]
    pub(super) _http: Option<IgnoredAny>,
    #[serde(rename = "tcp")]
    pub(super) _tcp: Option<IgnoredAny>,
    #[serde(rename = "dns")]
    pub(super) _dns: Option<IgnoredAny>,
    #[serde(rename = "icmp")]
    pub(super) _icmp: Option<IgnoredAny>,
    #[serde(rename = "grpc")]
    pub(super) _grpc: Option<IgnoredAny>,
    #[serde(rename = "unix")]
    pub(super) _unix: Option<IgnoredAny>,
    #[serde(rename = "websocket")]
    pub(super) _websocket: Option<IgnoredAny>,
    /// Ours.
    pub(super) dns_servers: Option<Vec<String>>,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct RawHttp {
    pub(super) valid_status_codes: Option<Vec<StatusText>>,
    pub(super) valid_http_versions: Option<Vec<String>>,
    pub(super) accept_any_response: Option<bool>,
    pub(super) method: Option<String>,
    pub(super) headers: Option<Entries<String>>,
    pub(super) http_headers: Option<Entries<RawHeaderValues>>,
    pub(super) body: Option<BytesText>,
    pub(super) body_file: Option<String>,
    pub(super) body_size_limit: Option<String>,
    pub(super) compression: Option<String>,
    /// Ours.
    pub(super) decode_charset: Option<bool>,
    pub(super) follow_redirects: Option<bool>,
    /// The name of `follow_redirects` in old files.
    pub(super) no_follow_redirects: Option<bool>,
    pub(super) fail_if_ssl: Option<bool>,
    pub(super) fail_if_not_ssl: Option<bool>,
    pub(super) fail_if_body_matches_regexp: Option<Vec<String>>,
    pub(super) fail_if_body_not_matches_regexp: Option<Vec<String>>,
    pub(super) fail_if_body_json_matches_cel: Option<String>,
    pub(super) fail_if_body_json_not_matches_cel: Option<String>,
    pub(super) fail_if_header_matches: Option<Vec<RawHeaderMatch>>,
    pub(super) fail_if_header_not_matches: Option<Vec<RawHeaderMatch>>,
    pub(super) preferred_ip_protocol: Option<String>,
    pub(super) ip_protocol_fallback: Option<bool>,
    /// Always the case here: names are left to the proxy.
    #[serde(rename = "skip_resolve_phase_with_proxy")]
    pub(super) _skip_resolve_phase_with_proxy: Option<bool>,
    pub(super) enable_http2: Option<bool>,
    pub(super) enable_http3: Option<bool>,
    pub(super) basic_auth: Option<RawBasicAuth>,
    pub(super) authorization: Option<RawAuthorization>,
    pub(super) bearer_token: Option<SecretText>,
    pub(super) bearer_token_file: Option<String>,
    pub(super) oauth2: Option<RawOAuth2>,
    pub(super) proxy_url: Option<String>,
    pub(super) no_proxy: Option<String>,
    pub(super) proxy_from_environment: Option<bool>,
    pub(super) proxy_connect_header: Option<Entries<Vec<SecretText>>>,
    pub(super) tls_config: Option<RawTls>,
    /// Ours; in the blocks of grpc and websocket too.
    pub(super) trace_context: Option<SwitchOr<RawTraceContext>>,
}

/// Ours.
#[derive(Debug, Default, Deserialize)]
pub(super) struct RawTraceContext {
    pub(super) enabled: Option<bool>,
    pub(super) sampled: Option<bool>,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct RawHeaderValues {
    pub(super) values: Option<Vec<String>>,
    pub(super) secrets: Option<Vec<SecretText>>,
    pub(super) files: Option<Vec<String>>,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct RawHeaderMatch {
    pub(super) header: Option<String>,
    pub(super) regexp: Option<String>,
    pub(super) allow_missing: Option<bool>,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct RawBasicAuth {
    pub(super) username: Option<String>,
    pub(super) username_file: Option<String>,
    pub(super) username_ref: Option<String>,
    pub(super) password: Option<SecretText>,
    pub(super) password_file: Option<String>,
    pub(super) password_ref: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct RawAuthorization {
    #[serde(rename = "type")]
    pub(super) scheme: Option<String>,
    pub(super) credentials: Option<SecretText>,
    pub(super) credentials_file: Option<String>,
    pub(super) credentials_ref: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct RawOAuth2 {
    pub(super) grant_type: Option<String>,
    pub(super) client_id: Option<String>,
    pub(super) client_secret: Option<SecretText>,
    pub(super) client_secret_file: Option<String>,
    pub(super) client_secret_ref: Option<String>,
    // The keys of the jwt-bearer grant.
    pub(super) client_certificate_key_id: Option<String>,
    pub(super) client_certificate_key: Option<SecretText>,
    pub(super) client_certificate_key_file: Option<String>,
    pub(super) client_certificate_key_ref: Option<String>,
    pub(super) signature_algorithm: Option<String>,
    pub(super) iss: Option<String>,
    pub(super) audience: Option<String>,
    #[serde(rename = "claims")]
    pub(super) claims: Option<Entries<serde_json::Value>>,
    pub(super) scopes: Option<Vec<String>>,
    pub(super) token_url: Option<String>,
    pub(super) endpoint_params: Option<Entries<String>>,
    pub(super) tls_config: Option<RawTls>,
    pub(super) proxy_url: Option<String>,
    pub(super) no_proxy: Option<String>,
    pub(super) proxy_from_environment: Option<bool>,
    pub(super) proxy_connect_header: Option<Entries<Vec<SecretText>>>,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct RawTls {
    pub(super) insecure_skip_verify: Option<bool>,
    pub(super) ca: Option<String>,
    pub(super) ca_file: Option<String>,
    pub(super) ca_ref: Option<String>,
    pub(super) cert: Option<String>,
    pub(super) cert_file: Option<String>,
    pub(super) cert_ref: Option<String>,
    pub(super) key: Option<SecretText>,
    pub(super) key_file: Option<String>,
    pub(super) key_ref: Option<String>,
    pub(super) server_name: Option<String>,
    pub(super) min_version: Option<String>,
    pub(super) max_version: Option<String>,
    /// Ours: revocation lists, PEM or one in DER.
    pub(super) crl_file: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct RawTcp {
    pub(super) preferred_ip_protocol: Option<String>,
    pub(super) ip_protocol_fallback: Option<bool>,
    pub(super) source_ip_address: Option<String>,
    pub(super) tls: Option<bool>,
    pub(super) tls_config: Option<RawTls>,
    pub(super) query_response: Option<Vec<RawStep>>,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct RawStep {
    pub(super) expect: Option<String>,
    pub(super) expect_bytes: Option<BytesText>,
    pub(super) send: Option<BytesText>,
    pub(super) starttls: Option<bool>,
    pub(super) labels: Option<Vec<RawStepLabel>>,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct RawStepLabel {
    pub(super) name: Option<String>,
    pub(super) value: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct RawDns {
    pub(super) preferred_ip_protocol: Option<String>,
    pub(super) ip_protocol_fallback: Option<bool>,
    pub(super) source_ip_address: Option<String>,
    pub(super) transport_protocol: Option<String>,
    pub(super) dns_over_tls: Option<bool>,
    pub(super) tls_config: Option<RawTls>,
    pub(super) query_name: Option<String>,
    pub(super) query_type: Option<String>,
    pub(super) query_class: Option<String>,
    pub(super) recursion_desired: Option<bool>,
    pub(super) valid_rcodes: Option<Vec<String>>,
    pub(super) validate_answer_rrs: Option<RawRecordRules>,
    pub(super) validate_authority_rrs: Option<RawRecordRules>,
    pub(super) validate_additional_rrs: Option<RawRecordRules>,
    /// Ours.
    pub(super) edns_udp_size: Option<i64>,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct RawRecordRules {
    pub(super) fail_if_matches_regexp: Option<Vec<String>>,
    pub(super) fail_if_all_match_regexp: Option<Vec<String>>,
    pub(super) fail_if_not_matches_regexp: Option<Vec<String>>,
    pub(super) fail_if_none_matches_regexp: Option<Vec<String>>,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct RawIcmp {
    pub(super) preferred_ip_protocol: Option<String>,
    pub(super) ip_protocol_fallback: Option<bool>,
    pub(super) source_ip_address: Option<String>,
    pub(super) dont_fragment: Option<bool>,
    pub(super) payload_size: Option<WholePart>,
    pub(super) ttl: Option<WholePart>,
    // Ours.
    pub(super) packets: Option<i64>,
    pub(super) packet_interval: Option<DurationText>,
    pub(super) max_loss: Option<f64>,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct RawGrpc {
    pub(super) preferred_ip_protocol: Option<String>,
    pub(super) ip_protocol_fallback: Option<bool>,
    pub(super) service: Option<String>,
    pub(super) tls: Option<bool>,
    pub(super) tls_config: Option<RawTls>,
    pub(super) metadata: Option<Entries<Vec<SecretText>>>,
    pub(super) trace_context: Option<SwitchOr<RawTraceContext>>,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct RawUnix {
    pub(super) tls: Option<bool>,
    pub(super) tls_config: Option<RawTls>,
    pub(super) query_response: Option<Vec<RawStep>>,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct RawWebsocket {
    pub(super) preferred_ip_protocol: Option<String>,
    pub(super) ip_protocol_fallback: Option<bool>,
    pub(super) http_config: Option<RawHttpClient>,
    pub(super) headers: Option<Entries<RawHeaderValues>>,
    pub(super) query_response: Option<Vec<RawStep>>,
    pub(super) trace_context: Option<SwitchOr<RawTraceContext>>,
}

/// The incumbent's HTTP client block where it stands alone.
#[derive(Debug, Default, Deserialize)]
pub(super) struct RawHttpClient {
    pub(super) basic_auth: Option<RawBasicAuth>,
    pub(super) authorization: Option<RawAuthorization>,
    pub(super) oauth2: Option<RawOAuth2>,
    pub(super) bearer_token: Option<SecretText>,
    pub(super) bearer_token_file: Option<String>,
    #[serde(rename = "follow_redirects")]
    pub(super) _follow_redirects: Option<bool>,
    #[serde(rename = "enable_http2")]
    pub(super) _enable_http2: Option<bool>,
    pub(super) tls_config: Option<RawTls>,
    pub(super) proxy_url: Option<String>,
    pub(super) no_proxy: Option<String>,
    pub(super) proxy_from_environment: Option<bool>,
    pub(super) proxy_connect_header: Option<Entries<Vec<SecretText>>>,
    pub(super) http_headers: Option<Entries<RawHeaderValues>>,
}

/// An entry of `target_http`: where the list is, and how Prometheus's HTTP client is told to fetch it.
#[derive(Debug, Default, Deserialize)]
pub(super) struct RawTargetHttp {
    pub(super) url: Option<String>,
    pub(super) refresh_interval: Option<DurationText>,
    /// Ours, as in the other kinds.
    pub(super) module: Option<String>,
    pub(super) labels: Option<Entries<String>>,
    pub(super) basic_auth: Option<RawBasicAuth>,
    pub(super) authorization: Option<RawAuthorization>,
    pub(super) oauth2: Option<RawOAuth2>,
    pub(super) bearer_token: Option<SecretText>,
    pub(super) bearer_token_file: Option<String>,
    pub(super) follow_redirects: Option<bool>,
    pub(super) enable_http2: Option<bool>,
    pub(super) tls_config: Option<RawTls>,
    pub(super) proxy_url: Option<String>,
    pub(super) no_proxy: Option<String>,
    pub(super) proxy_from_environment: Option<bool>,
    pub(super) proxy_connect_header: Option<Entries<Vec<SecretText>>>,
    pub(super) http_headers: Option<Entries<RawHeaderValues>>,
}

/// An entry of `target_dns`.
#[derive(Debug, Default, Deserialize)]
pub(super) struct RawTargetDns {
    pub(super) names: Option<Vec<String>>,
    #[serde(rename = "type")]
    pub(super) kind: Option<String>,
    pub(super) port: Option<i64>,
    pub(super) refresh_interval: Option<DurationText>,
    pub(super) dns_servers: Option<Vec<String>>,
    pub(super) module: Option<String>,
    pub(super) labels: Option<Entries<String>>,
}

/// The file of `--web.config.file`, exporter-toolkit's schema.
#[derive(Debug, Default, Deserialize)]
pub(super) struct RawWeb {
    pub(super) tls_server_config: Option<RawServerTls>,
    pub(super) http_server_config: Option<RawWebHttp>,
    pub(super) basic_auth_users: Option<Entries<SecretText>>,
    pub(super) auth_excluded_paths: Option<Vec<String>>,
    pub(super) rate_limit: Option<RawRateLimit>,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct RawServerTls {
    pub(super) cert: Option<String>,
    pub(super) cert_file: Option<String>,
    pub(super) key: Option<SecretText>,
    pub(super) key_file: Option<String>,
    pub(super) client_auth_type: Option<String>,
    pub(super) client_ca: Option<String>,
    pub(super) client_ca_file: Option<String>,
    pub(super) client_allowed_sans: Option<Vec<String>>,
    pub(super) min_version: Option<String>,
    pub(super) max_version: Option<String>,
    pub(super) cipher_suites: Option<Vec<String>>,
    pub(super) curve_preferences: Option<Vec<String>>,
    pub(super) prefer_server_cipher_suites: Option<bool>,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct RawWebHttp {
    pub(super) http2: Option<bool>,
    pub(super) headers: Option<Entries<String>>,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct RawRateLimit {
    pub(super) interval: Option<DurationText>,
    pub(super) burst: Option<i64>,
}

/// Every key of our own schema, and of the blocks of the probers.
#[cfg(test)]
pub(super) fn keys() -> Vec<&'static str> {
    /// Asks a struct for its fields, as a deserializer is told them.
    struct Fields<'k>(&'k mut Vec<&'static str>);

    impl<'de> Deserializer<'de> for Fields<'_> {
        type Error = serde::de::value::Error;

        fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Self::Error> {
            Err(serde::de::Error::custom("not a struct"))
        }

        fn deserialize_struct<V: Visitor<'de>>(
            self,
            _: &'static str,
            fields: &'static [&'static str],
            _: V,
        ) -> Result<V::Value, Self::Error> {
            self.0.extend(fields);
            Err(serde::de::Error::custom("seen"))
        }

        serde::forward_to_deserialize_any! {
            bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit
            unit_struct newtype_struct seq tuple tuple_struct map enum identifier ignored_any
        }
    }

    let mut keys = Vec::new();
    let _ = RawFile::deserialize(Fields(&mut keys));
    let _ = RawGlobal::deserialize(Fields(&mut keys));
    let _ = RawConfirm::deserialize(Fields(&mut keys));
    let _ = RawPath::deserialize(Fields(&mut keys));
    let _ = RawTarget::deserialize(Fields(&mut keys));
    let _ = RawModule::deserialize(Fields(&mut keys));
    let _ = RawProbeEndpoint::deserialize(Fields(&mut keys));
    let _ = RawWindow::deserialize(Fields(&mut keys));
    let _ = RawOnce::deserialize(Fields(&mut keys));
    let _ = RawWeekly::deserialize(Fields(&mut keys));
    let _ = RawNotice::deserialize(Fields(&mut keys));
    let _ = RawTargetGroup::deserialize(Fields(&mut keys));
    let _ = RawTargetHttp::deserialize(Fields(&mut keys));
    let _ = RawTargetDns::deserialize(Fields(&mut keys));
    let _ = RawHttp::deserialize(Fields(&mut keys));
    let _ = RawTraceContext::deserialize(Fields(&mut keys));
    let _ = RawHeaderMatch::deserialize(Fields(&mut keys));
    let _ = RawTcp::deserialize(Fields(&mut keys));
    let _ = RawStep::deserialize(Fields(&mut keys));
    let _ = RawDns::deserialize(Fields(&mut keys));
    let _ = RawRecordRules::deserialize(Fields(&mut keys));
    let _ = RawIcmp::deserialize(Fields(&mut keys));
    let _ = RawGrpc::deserialize(Fields(&mut keys));
    let _ = RawUnix::deserialize(Fields(&mut keys));
    let _ = RawWebsocket::deserialize(Fields(&mut keys));
    // Old names that only old files should have.
    keys.retain(|key| !matches!(*key, "no_follow_redirects" | "bearer_token" | "bearer_token_file"));
    keys
}
