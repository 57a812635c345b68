//! Failures on demand: the `failCommand` fail point, as tests of drivers configure it.

use super::{Call, Failure, MemoryServer, Outcome, code};
use crate::bson::{Array, Doc, Document, RawDocument, Value};
use crate::doc;

/// Which commands fail, how often and how.
#[derive(Clone, Debug)]
pub(super) struct FailPoint {
    /// Commands that pass first.
    skip: u64,
    /// How often; `None` for ever.
    times: Option<u64>,
    data: RawDocument,
}

/// What the fail point makes of one command.
pub(super) enum Verdict {
    /// It is carried out.
    Pass,
    /// It is carried out, and the reply says this besides.
    Append(Document),
    /// It is not carried out; this is the reply.
    Reply(Document),
    /// The connection ends without a reply, and nothing is done.
    Hangup,
    /// It is carried out, and then the connection ends without a reply.
    HangupAfterwards,
}

impl MemoryServer {
    /// `configureFailPoint: "failCommand"`, with `mode` as `"off"`, `"alwaysOn"`, `{times}` or `{skip}`. Beside what real servers have in
    /// `data`, `afterwards: true` closes a connection after the command was carried out.
    pub(super) fn configure_fail_point(&mut self, call: &Call<'_>) -> Outcome {
        if call.body.get_str("configureFailPoint") != Some("failCommand") {
            return Err(Failure::new(
                code::BAD_VALUE,
                "the in-memory server has only the fail point failCommand",
            ));
        }
        let count = |mode: Doc<'_>, key: &str| mode.get_i64(key).and_then(|count| u64::try_from(count).ok());
        let (skip, times) = match call.body.find("mode") {
            Some(Value::String("off")) => {
                self.fail_point = None;
                return Ok(doc! { "ok": 1.0 });
            }
            Some(Value::String("alwaysOn")) => (0, None),
            Some(Value::Document(mode)) => (count(mode, "skip").unwrap_or(0), count(mode, "times")),
            _ => return Err(Failure::new(code::FAILED_TO_PARSE, "a fail point needs a mode")),
        };
        let data = call.body.get_doc("data").unwrap_or(Doc::EMPTY);
        self.fail_point = Some(FailPoint { skip, times, data: Document::from(data).into() });
        Ok(doc! { "ok": 1.0 })
    }

    /// Whether this command fails.
    pub(super) fn fail_point_verdict(&mut self, connection: u64, name: &str) -> Verdict {
        let Some(point) = &mut self.fail_point else { return Verdict::Pass };
        let data = point.data.clone();
        let data = data.as_doc();
        let names = data.get_array("failCommands").into_iter().flat_map(Array::iter);
        if !names.map_while(Result::ok).any(|own| own.as_str() == Some(name)) {
            return Verdict::Pass;
        }
        if point.skip > 0 {
            point.skip -= 1;
            return Verdict::Pass;
        }
        match &mut point.times {
            Some(0) => {
                self.fail_point = None;
                return Verdict::Pass;
            }
            Some(times) => *times -= 1,
            None => {}
        }
        if data.get_bool("closeConnection") == Some(true) {
            self.hangups.insert(connection);
            let afterwards = data.get_bool("afterwards") == Some(true);
            return if afterwards { Verdict::HangupAfterwards } else { Verdict::Hangup };
        }
        let mut labels = Document::new();
        if let Some(own) = data.get_array("errorLabels") {
            labels.append("errorLabels", own);
        }
        if let Some(number) = data.get_i64("errorCode") {
            let mut reply = doc! { "ok": 0.0, "code": number as i32, "errmsg": "Failing command via 'failCommand' failpoint" };
            if labels.iter().next().is_none() && is_write(name) && is_transient(number) {
                labels.append("errorLabels", ["RetryableWriteError"]);
            }
            reply.extend(labels.as_doc());
            return Verdict::Reply(reply);
        }
        if let Some(error) = data.get_doc("writeConcernError") {
            let mut extra = doc! { "writeConcernError": error };
            let inner = error.get_array("errorLabels");
            if let Some(inner) = inner {
                extra.append("errorLabels", inner);
            } else if labels.iter().next().is_none() && error.get_i64("code").is_some_and(is_transient) {
                extra.append("errorLabels", ["RetryableWriteError"]);
            }
            extra.extend(labels.as_doc());
            return Verdict::Append(extra);
        }
        Verdict::Pass
    }

    /// True, once, when a connection is to end without a reply.
    pub fn take_hangup(&mut self, connection: u64) -> bool {
        self.hangups.remove(&connection)
    }
}

fn is_write(name: &str) -> bool {
    matches!(name, "insert" | "update" | "delete" | "findAndModify")
}

/// Errors that servers label as worth retrying a write for.
fn is_transient(code: i64) -> bool {
    matches!(code, 6 | 7 | 89 | 91 | 189 | 262 | 9001 | 10107 | 11600 | 11602 | 13435 | 13436)
}
