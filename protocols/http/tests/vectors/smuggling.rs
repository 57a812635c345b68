//! Pairs of `Content-Length` and `Transfer-Encoding` that two parsers read differently: both of our halves refuse them,
//! or frame them in the same way, and what the server half accepts leaves the client half unambiguous.

use std::path::Path;
use std::sync::Arc;

use glowplug_http::Method;
use libtest_mimic::{Failed, Trial};

use crate::messages::{answers, requests, write};
use crate::support::{at_every_cut, client_config, receive, serve, server_config};

pub(crate) fn trials(root: &Path) -> Result<Vec<Trial>, Failed> {
    let payloads = crate::json(root, "smuggling-payloads/payloads.json")?;
    let permutations = payloads["permute"].as_array().ok_or("no permutations")?;
    let mut trials = Vec::new();
    for permutation in permutations {
        let text =
            |value: &serde_json::Value| value.as_str().unwrap_or_default().replace("[space here]", " ");
        let name = text(&permutation["type"]);
        let length = text(&permutation["content_length_key"]);
        let encoding = &permutation["transfer_encoding"];
        let encoding = format!("{}{}", text(&encoding["te_key"]), text(&encoding["te_value"]));
        trials.push(Trial::test(format!("smuggling {name}"), move || run(&length, &encoding)));
    }
    if trials.len() < 38 { Err("permutations are missing".into()) } else { Ok(trials) }
}

fn run(length_key: &str, encoding: &str) -> Result<(), Failed> {
    // The two bodies of the classic probes, and one that both lengths fit.
    for (length, body) in [(4, "1\r\nZ\r\nQ\r\n\r\n"), (6, "0\r\n\r\nX"), (5, "0\r\n\r\n"), (0, "0\r\n\r\n")]
    {
        let length = format!("{length_key} {length}");
        for fields in
            [format!("{length}\r\n{encoding}"), format!("{encoding}\r\n{length}"), encoding.to_owned()]
        {
            one(&fields, body)?;
        }
    }
    Ok(())
}

fn one(fields: &str, body: &str) -> Result<(), Failed> {
    let request = format!("POST / HTTP/1.1\r\nHost: a\r\n{fields}\r\n\r\n{body}");
    let response = format!("HTTP/1.1 200 OK\r\n{fields}\r\n\r\n{body}");
    let (request, response) = (request.as_bytes(), response.as_bytes());
    at_every_cut(request, 4096, |pieces| serve(&server_config(), pieces, false));
    at_every_cut(response, 4096, |pieces| receive(&client_config(), &Method::GET, pieces, false));

    let asked = requests(&server_config(), request, false);
    let answered = answers(&client_config(), &Method::GET, response, false);
    let Some(first) = asked.messages.first() else {
        // Refused by its head; so is the answer, by its own head.
        return if answered.messages.is_empty() && answered.refusal.is_some() {
            Ok(())
        } else {
            Err(format!("only the request is refused: {fields:?} {answered:?}").into())
        };
    };
    let Some(answer) = answered.messages.first() else {
        return Err(format!("only the answer is refused: {fields:?} {asked:?}").into());
    };
    // Without any length a request is empty and an answer lasts until the end: that is no ambiguity.
    let framed = first.fields.iter().any(|(name, _)| {
        name.eq_ignore_ascii_case("content-length") || name.eq_ignore_ascii_case("transfer-encoding")
    });
    if framed && (&first.body, first.complete) != (&answer.body, answer.complete) {
        return Err(format!("two readings: {fields:?} {first:?} {answer:?}").into());
    }
    // What a proxy made of the two halves passes on is read again as the same one request.
    if first.complete {
        let passed_on = write(first).ok_or("the client half refuses what the server half took")?;
        let again = requests(&Arc::clone(&server_config()), &passed_on, false);
        let same = again.messages.len() == 1
            && again.refusal.is_none()
            && again.left.is_empty()
            && again.messages[0].body == first.body
            && again.messages[0].start == first.start;
        if !same {
            return Err(format!("passed on as {}: {again:?}", passed_on.escape_ascii()).into());
        }
    }
    Ok(())
}
