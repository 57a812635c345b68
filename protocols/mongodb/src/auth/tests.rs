//! Both halves of SCRAM against each other, and against those who lie.

use super::*;

fn client(hash: ScramHash, password: &str, keys: Option<ScramKeys>) -> ScramClient {
    let prepared = hash.prepare("us=er,", password).unwrap();
    ScramClient::new(hash, "us=er,", &prepared, "clientnonce".into(), keys)
}

fn stored(hash: ScramHash) -> StoredKeys {
    StoredKeys::new(hash, &hash.prepare("us=er,", "pencil").unwrap(), b"saltsalt".to_vec(), 4096)
}

#[test]
fn both_halves_agree_and_kept_keys_save_the_work() {
    for hash in [ScramHash::Sha1, ScramHash::Sha256] {
        let stored = stored(hash);
        let mut kept = None;
        for _ in 0..2 {
            let mut client = client(hash, "pencil", kept.take());
            let (username, mut server) = ScramServer::new(client.first().as_bytes()).unwrap();
            assert_eq!(username, "us=er,");
            let first = server.first(&stored, "servernonce");
            let last = client.handle_first(first.as_bytes(), 10_000).unwrap();
            let signature = server.handle_final(last.as_bytes(), &stored).unwrap();
            client.handle_final(signature.as_bytes()).unwrap();
            assert_eq!(client.handle_final(b"v=AAAA"), Err(ScramError::ServerSignature));
            assert_eq!(client.handle_final(b"e=no"), Err(ScramError::Refused("no".into())));
            kept = client.into_keys();
        }
        // Keys of an old password are not used for a new one.
        let mut wrong = client(hash, "pen", kept);
        let (_, mut server) = ScramServer::new(wrong.first().as_bytes()).unwrap();
        let first = server.first(&stored, "servernonce");
        let last = wrong.handle_first(first.as_bytes(), 10_000).unwrap();
        assert_eq!(server.handle_final(last.as_bytes(), &stored), Err(ScramError::ClientProof));
    }
}

#[test]
fn a_lying_server_is_refused() {
    let first = |text: &str| {
        client(ScramHash::Sha256, "pencil", None).handle_first(text.as_bytes(), 10_000).unwrap_err()
    };
    assert_eq!(first("r=clientnonce,s=c2FsdA==,i=4096"), ScramError::Nonce);
    assert_eq!(first("r=othernonce123,s=c2FsdA==,i=4096"), ScramError::Nonce);
    assert_eq!(first("r=clientnonce1,s=c2FsdA==,i=4095"), ScramError::Iterations(4095));
    assert_eq!(first("r=clientnonce1,s=c2FsdA==,i=10001"), ScramError::Iterations(10_001));
    assert_eq!(first("r=clientnonce1,s=c2FsdA==,i=4294967295"), ScramError::Iterations(u32::MAX));
    for text in [
        "",
        "m=x,r=clientnonce1,s=c2FsdA==,i=4096",
        "r=clientnonce1,s=!,i=4096",
        "r=clientnonce1,s=c2FsdA==,i=-1",
    ] {
        assert_eq!(first(text), ScramError::Malformed, "{text}");
    }
}

#[test]
fn a_lying_client_is_refused() {
    for text in ["", "p=x,,n=a,r=b", "n,,n=a", "n,,n=a=b,r=c", "n,,r=c,n=a", "n,,n=a,r="] {
        assert_eq!(ScramServer::new(text.as_bytes()).unwrap_err(), ScramError::Malformed, "{text}");
    }
    let stored = stored(ScramHash::Sha1);
    let (_, mut server) = ScramServer::new(b"n,,n=a,r=b").unwrap();
    server.first(&stored, "c");
    assert_eq!(server.handle_final(b"c=biws,r=b,p=AAAA", &stored), Err(ScramError::Nonce));
    assert_eq!(server.handle_final(b"c=biws,r=bc,p=AAAA", &stored), Err(ScramError::ClientProof));
    assert_eq!(server.handle_final(b"c=biws,r=bc", &stored), Err(ScramError::Malformed));
}

#[test]
fn secrets_are_not_shown() {
    let credential = Credential::new("user", "pencil");
    assert!(!format!("{credential:?} {:?}", client(ScramHash::Sha256, "pencil", None)).contains("pencil"));
}
