//! Shaking hands: `hello` and what came before it, and who one is.

use super::*;

#[test]
fn an_unknown_hello_falls_back_to_is_master() {
    let mut pair = Pair::new(Config::default());
    pair.serve(&mut |request| match request.message {
        Message::Msg(_) => Some(doc! { "ok": 0, "code": 59, "errmsg": "no such command: 'hello'" }),
        _ => greeting(request, &[]),
    });
    assert!(matches!(&pair.requests[1].message, Message::Query(query) if query.collection == "admin.$cmd"));
    assert!(matches!(pair.events[..], [Event::Ready(_)]));

    let mut pair = Pair::new(Config { legacy_hello: true, ..Config::default() });
    pair.serve(&mut |request| greeting(request, &[]));
    assert_eq!(pair.requests.len(), 1);
    let mut pair = Pair::new(Config::default());
    let error = pair.try_serve(&mut |_| Some(doc! { "ok": 0, "code": 13 })).unwrap_err();
    assert!(matches!(error, Error::Refused(error) if error.code == 13));
    let mut pair = Pair::new(Config::default());
    let error = pair.try_serve(&mut |_| Some(doc! { "ok": 1, "maxWireVersion": 5 })).unwrap_err();
    assert_eq!(error, Error::Peer(PeerError::TooOld { wire_version: 5 }));
}

/// A server that knows the user `user` with the password `pencil` by one hash.
pub(super) struct Scram {
    pub(super) hash: ScramHash,
    pub(super) speculative: bool,
    pub(super) empty_exchange: bool,
    pub(super) conversation: Option<ScramServer>,
    pub(super) step: usize,
}

impl Scram {
    fn keys(&self) -> StoredKeys {
        StoredKeys::new(self.hash, &self.hash.prepare("user", "pencil").unwrap(), vec![1; 16], 5000)
    }

    fn start(&mut self, command: Doc<'_>) -> Document {
        let Some(Value::Binary(payload)) = command.find("payload") else { panic!("no payload") };
        let (username, mut conversation) = ScramServer::new(payload.bytes).unwrap();
        assert_eq!(username, "user");
        let first = conversation.first(&self.keys(), "server");
        self.conversation = Some(conversation);
        sasl(first.as_bytes(), false)
    }

    pub(super) fn answer(&mut self, request: &Request) -> Option<Document> {
        let command = request.command()?;
        match command.iter().next()?.ok()?.0 {
            "hello" => {
                let mut document = greeting(request, &[])?;
                let mechanism = if self.hash == ScramHash::Sha1 { "SCRAM-SHA-1" } else { "SCRAM-SHA-256" };
                document.append("saslSupportedMechs", [mechanism]);
                if let Some(speculation) =
                    command.get_doc("speculativeAuthenticate").filter(|_| self.speculative)
                {
                    assert_eq!(speculation.get_str("db"), Some("admin"));
                    let answer = self.start(speculation);
                    document.append("speculativeAuthenticate", answer);
                }
                Some(document)
            }
            "saslStart" => Some(self.start(command)),
            "saslContinue" => {
                self.step += 1;
                let Some(Value::Binary(payload)) = command.find("payload") else { panic!("no payload") };
                if self.step == 2 {
                    assert!(payload.bytes.is_empty());
                    return Some(sasl(b"", true));
                }
                Some(match self.conversation.as_ref()?.handle_final(payload.bytes, &self.keys()) {
                    Ok(last) => sasl(last.as_bytes(), !self.empty_exchange),
                    Err(_) => doc! { "ok": 0, "code": 18, "codeName": "AuthenticationFailed" },
                })
            }
            _ => echo(request),
        }
    }
}

fn sasl(payload: &[u8], done: bool) -> Document {
    let payload = Binary { subtype: BinarySubtype::GENERIC, bytes: payload };
    doc! { "conversationId": 1, "payload": payload, "done": done, "ok": 1 }
}

#[test]
fn scram_in_all_its_ways() {
    for (hash, mechanism, speculative, empty_exchange, requests) in [
        (ScramHash::Sha256, None, true, false, 2),
        (ScramHash::Sha256, None, false, true, 4),
        (ScramHash::Sha1, None, false, false, 3),
        (ScramHash::Sha1, Some(Mechanism::ScramSha1), true, false, 2),
        (ScramHash::Sha256, Some(Mechanism::ScramSha256), true, true, 3),
    ] {
        let credential = Credential { mechanism, ..Credential::new("user", "pencil") };
        let config = Config { credential: Some(credential), ..Config::default() };
        let mut scram = Scram { hash, speculative, empty_exchange, conversation: None, step: 0 };
        let mut pair = Pair::new(config.clone());
        pair.serve(&mut |request| scram.answer(request));
        assert!(matches!(pair.events[..], [Event::Ready(_)]), "{hash:?} {mechanism:?}");
        assert_eq!(pair.requests.len(), requests);
        assert!(pair.client.scram_keys().is_some());

        scram.step = 0;
        let credential = Credential { mechanism, ..Credential::new("user", "pen") };
        let mut pair = Pair::new(Config { credential: Some(credential), ..config });
        let error = pair.try_serve(&mut |request| scram.answer(request)).unwrap_err();
        assert!(matches!(error, Error::Refused(error) if error.code == 18));
    }
}

#[test]
fn a_server_that_is_done_too_early_is_refused() {
    let credential = Some(Credential::new("user", "pencil"));
    let mut pair = Pair::new(Config { credential, ..Config::default() });
    let error = pair.try_serve(&mut |request| {
        let mut document = greeting(request, &[])?;
        document.append("speculativeAuthenticate", sasl(b"", true));
        Some(document)
    });
    assert!(matches!(error, Err(Error::Scram(_))));
}

#[test]
fn plain_needs_tls_and_x509_needs_nothing() {
    let plain = Credential { mechanism: Some(Mechanism::Plain), ..Credential::new("user", "pencil") };
    let mut pair = Pair::new(Config { credential: Some(plain.clone()), ..Config::default() });
    assert_eq!(pair.try_serve(&mut echo), Err(Error::Local(LocalError::PlainWithoutTls)));
    assert!(pair.requests.is_empty(), "nothing was sent");

    let mut pair = Pair::new(Config { credential: Some(plain), tls: true, ..Config::default() });
    pair.serve(&mut |request| match request.command()?.find("payload") {
        Some(Value::Binary(payload)) => {
            assert_eq!(payload.bytes, b"\0user\0pencil");
            Some(sasl(b"", true))
        }
        _ => greeting(request, &[]),
    });
    assert!(matches!(pair.events[..], [Event::Ready(_)]));
    assert!(pair.requests[0].command().unwrap().find("speculativeAuthenticate").is_none());

    let mut pair = Pair::new(Config { credential: Some(Credential::x509()), ..Config::default() });
    pair.serve(&mut |request| match request.command()?.get_str("mechanism") {
        Some(mechanism) => {
            assert_eq!((mechanism, request.database()), ("MONGODB-X509", Some("$external")));
            Some(doc! { "ok": 1 })
        }
        None => greeting(request, &[]),
    });
    assert!(matches!(pair.events[..], [Event::Ready(_)]));
}
