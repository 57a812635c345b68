use super::*;
use crate::error::Reason;

/// Short words for what comes, until nothing more does.
fn read<H>(
    mut next: impl FnMut(&mut BytesMut) -> Result<Option<Part<H>>, Error>,
    input: &mut BytesMut,
) -> Result<Vec<String>, Error> {
    let mut words = Vec::new();
    while let Some(part) = next(input)? {
        words.push(match part {
            Part::Head { body, .. } => format!("head {body:?}"),
            Part::Data(data) => format!("data {}", data.escape_ascii()),
            Part::ChunkExtensions(text) => format!("extensions {}", text.escape_ascii()),
            Part::End(trailers) => format!("end {}", trailers.map_or(0, |fields| fields.len())),
            Part::Switched => "switched".to_owned(),
        });
    }
    Ok(words)
}

struct Both {
    observer: Observer,
    up: BytesMut,
    down: BytesMut,
}

impl Both {
    fn new(up: &str, down: &str) -> Self {
        Self { observer: Observer::default(), up: up.into(), down: down.into() }
    }

    fn requests(&mut self) -> Vec<String> {
        read(|input| self.observer.decode_request(input), &mut self.up).expect("valid")
    }

    fn responses(&mut self) -> Vec<String> {
        read(|input| self.observer.decode_response(input), &mut self.down).expect("valid")
    }
}

#[test]
fn answers_end_as_their_requests_have_it() {
    let mut both = Both::new(
        "HEAD / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n\
         POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2;x=y\r\nhi\r\n0\r\nT: u\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n\
         HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 204 No Content\r\n\r\n",
    );
    assert_eq!(both.responses(), [""; 0], "nothing is known to have been asked");
    let (head, end) = ("head Empty", "end 0");
    assert_eq!(both.requests(), [head, end, head, end, "head Unknown", "extensions x=y", "data hi", "end 1"]);
    assert_eq!(both.observer.responses().expected(), 3);
    assert_eq!(both.responses(), [head, end, head, end, "head Known(2)", "data ok", end, head, end]);
    assert_eq!(both.observer.responses().expected(), 0);
}

#[test]
fn an_upgrade_that_is_granted_ends_both_directions() {
    let mut both = Both::new(
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n\x01\x02",
        "HTTP/1.1 101 Switching Protocols\r\n\r\n\x03",
    );
    assert_eq!(both.requests(), ["head Empty", "end 0"]);
    assert!(both.observer.requests().is_undecided());
    assert_eq!(both.requests(), [""; 0]);
    assert_eq!(both.responses(), ["head Empty", "switched"]);
    assert_eq!(both.requests(), ["switched"]);
    assert!(both.observer.requests().is_over() && both.observer.responses().is_over());
    assert_eq!((&both.up[..], &both.down[..]), (&b"\x01\x02"[..], &b"\x03"[..]));
}

#[test]
fn one_that_is_not_granted_ends_neither() {
    let ask = "CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n";
    let mut both =
        Both::new(&ask.repeat(2), "HTTP/1.1 407 No\r\nContent-Length: 0\r\n\r\nHTTP/1.1 200 OK\r\n\r\n");
    for last in ["end 0", "switched"] {
        assert_eq!(both.requests(), ["head Empty", "end 0"]);
        let mut next = || both.observer.decode_response(&mut both.down).expect("valid").expect("an answer");
        assert!(matches!(next(), Part::Head { .. }));
        assert_eq!(matches!(next(), Part::Switched), last == "switched");
    }
    assert_eq!(both.requests(), ["switched"]);
}

#[test]
fn an_upgrade_that_was_not_asked_for_is_refused() {
    let mut responses = ResponseDecoder::default();
    responses.expect(Question::default()).expect("room");
    let mut input = BytesMut::from("HTTP/1.1 101 Switching Protocols\r\n\r\n");
    let error = responses.decode(&mut input).expect_err("nobody asked");
    assert_eq!(error, Error::peer(0, Reason::UnexpectedUpgrade));
    assert_eq!(responses.decode(&mut BytesMut::new()).expect_err("it stays"), error);
}

#[test]
fn nothing_is_read_behind_the_last_message() {
    let mut both = Both::new(
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "HTTP/1.1 200 OK\r\n\r\nall the rest",
    );
    assert_eq!(both.requests(), ["head Empty", "end 0"]);
    assert!(both.observer.requests().is_over());
    assert_eq!(both.responses(), ["head Unknown", "data all the rest"]);
    both.observer.handle_server_eof();
    assert_eq!(both.responses(), ["end 0"]);
    assert!(both.observer.responses().is_over());
    both.down.extend_from_slice(b"HTTP/1.1 200 OK\r\n\r\n");
    assert_eq!(both.responses(), [""; 0]);
}

#[test]
fn a_server_that_reads_no_more_ends_the_requests() {
    let mut both = Both::new(
        "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
    );
    both.requests();
    both.responses();
    both.up.extend_from_slice(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(both.requests(), [""; 0]);
    assert!(both.observer.requests().is_over());
}

#[test]
fn an_end_within_a_message_is_an_error() {
    let mut requests = RequestDecoder::default();
    let mut input = BytesMut::from("GET / HTTP");
    assert!(matches!(requests.decode(&mut input), Ok(None)));
    requests.handle_eof();
    assert_eq!(requests.decode(&mut input).expect_err("half"), Error::UnexpectedEof(Phase::Head));
    let mut requests = RequestDecoder::default();
    requests.handle_eof();
    assert!(matches!(requests.decode(&mut BytesMut::new()), Ok(None)));
    assert!(requests.is_over());
    let mut responses = ResponseDecoder::default();
    responses.expect(Question::default()).expect("room");
    responses.handle_eof();
    let error = responses.decode(&mut BytesMut::new()).expect_err("no answer");
    assert_eq!(error, Error::UnexpectedEof(Phase::Head));
}

#[test]
fn limits_bound_what_is_unanswered_and_what_comes_before_an_answer() {
    let limits = Limits::default().max_unanswered(1).max_informational(1);
    let mut observer = Observer::new(limits, Leniency::default());
    let mut up = BytesMut::from("GET / HTTP/1.1\r\nHost: a\r\n\r\n".repeat(2).as_str());
    let error = read(|input| observer.decode_request(input), &mut up).expect_err("two at a time");
    assert!(matches!(error, Error::Limit(exceeded) if exceeded.limit == "max_unanswered"));
    let mut down = BytesMut::from("HTTP/1.1 204 No Content\r\n\r\n");
    read(|input| observer.decode_response(input), &mut down).expect("one answer");
    let words = read(|input| observer.decode_request(input), &mut up).expect("nothing was lost");
    assert_eq!(words, ["head Empty", "end 0"]);

    let mut down = BytesMut::from("HTTP/1.1 102 Processing\r\n\r\n".repeat(2).as_str());
    let error = read(|input| observer.decode_response(input), &mut down).expect_err("two");
    assert!(matches!(error, Error::Limit(exceeded) if exceeded.limit == "max_informational"));
}

#[test]
fn a_body_that_is_too_long_is_refused_by_its_head() {
    let mut requests = RequestDecoder::new(Limits::default().max_body_len(4), Leniency::default());
    let mut input = BytesMut::from("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n");
    let error = requests.decode(&mut input).expect_err("five bytes");
    assert!(matches!(error, Error::Limit(exceeded) if exceeded.limit == "max_body_len"));
}
