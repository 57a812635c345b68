//! The texts of a real node's errors, and what we take them for.

use std::path::Path;

use glowplug_riak::ServerError;
use glowplug_riak::ServerErrorKind::{
    self, AuthenticationFailed, Crash, MatchFound, Modified, NeedsContext, NeedsTls, NoBucketType, NotFound,
    Other, PermissionDenied, PrecommitFailed, QuorumImpossible, QuorumNotMet, RequestDuringStream, Timeout,
    UnknownCode,
};
use glowplug_riak::wire::Reply;
use libtest_mimic::Trial;

use crate::captures::{self, Recorded};

/// What each exchange's last error means.
const KINDS: &[(&str, ServerErrorKind)] = &[
    ("auth_password_wrong", AuthenticationFailed),
    ("auth_permission_denied_listing", PermissionDenied),
    ("error_auth_disabled", UnknownCode),
    ("error_bucket_type_set_unknown", NoBucketType),
    ("error_dt_type_unknown", NoBucketType),
    ("error_dt_wrong_op", Other),
    ("error_get_empty_key", Other),
    ("error_get_node_confirms", QuorumImpossible),
    ("error_get_pr_violation", QuorumImpossible),
    ("error_get_timeout", Timeout),
    ("error_index_bad_int", Crash),
    ("error_list_buckets_type", NoBucketType),
    ("error_malformed_body", Crash),
    ("error_map_remove_no_context", NeedsContext),
    ("error_precommit_failed", PrecommitFailed),
    ("error_put_bad_vclock", Crash),
    ("error_put_node_confirms", QuorumNotMet),
    ("error_search_unsupported", UnknownCode),
    ("error_set_remove_no_context", NeedsContext),
    ("error_type_unknown_get", NoBucketType),
    ("gset_add_return_body", Crash),
    ("put_if_none_match_fail", MatchFound),
    ("put_if_not_modified_fail", Modified),
    ("put_if_not_modified_notfound", NotFound),
    ("request_during_stream", RequestDuringStream),
    ("security_no_starttls", NeedsTls),
];

pub(crate) fn trials(folder: &Path) -> Vec<Trial> {
    let trial = |&(name, kind): &(&str, ServerErrorKind)| {
        let path = folder.join(name).with_extension("json");
        Trial::test(format!("errors::{name}"), move || {
            let capture = captures::load(&path)?;
            let errors = capture.frames.iter().filter(|frame| !frame.from_client).filter_map(error);
            let last = errors.last().ok_or("no error was recorded")?;
            assert_eq!(last.kind(), kind, "{last}");
            assert_eq!(last.closes_connection(), capture.closed, "{last}");
            Ok(())
        })
    };
    KINDS.iter().map(trial).collect()
}

fn error(frame: &Recorded) -> Option<ServerError> {
    match frame.reply()? {
        Reply::RpbErrorResp(error) => Some((*error).into()),
        _ => None,
    }
}
