//! The reference machines keep every law.

use glowplug_conformance::reference::{line, tally};
use glowplug_conformance::{DatagramLaw, Plan, StreamLaw, Verdict, transcript};

glowplug_conformance::stream_laws!(line_echo, line::subject());
glowplug_conformance::datagram_laws!(tally_of_datagrams, tally::subject());

#[test]
fn no_law_is_left_untested() {
    let plan = Plan::new().with_seeds(20);
    for law in StreamLaw::ALL {
        let verdict = law.check(&line::subject(), &plan).unwrap();
        assert!(verdict == Verdict::Held || !cfg!(feature = "memory"), "{law}: {verdict:?}");
    }
    for law in DatagramLaw::ALL {
        let verdict = law.check(&tally::subject(), &plan).unwrap();
        assert!(verdict == Verdict::Held || !cfg!(feature = "memory"), "{law}: {verdict:?}");
    }
}

#[test]
fn transcripts_hold() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/transcripts");
    let names = transcript::check_folder(folder, &line::subject(), &Plan::new())
        .unwrap_or_else(|failure| panic!("{failure}"));
    assert_eq!(names, ["echo", "end", "silence"]);
}

#[test]
fn a_transcript_that_differs_says_where() {
    for (text, place, what) in [
        ("< a\\n\n> b\\n\n", "line 2", "differs from the line at byte 0"),
        ("< a\\n\n> a\\n\n< b\\n", "line 3", "not written down: event"),
        ("< a\\n\n= Line(b\"a\")\n", "at the end", "sent what is not written down: a\\n"),
        ("< a\\n\n= Line(b\"b\")\n", "line 2", "what happened is: event Line(b\"a\")"),
        ("= Line(b\"b\")\n", "line 1", "nothing more happened"),
        ("closed", "line 1", "Want(1)"),
        ("do dance", "line 1", "does not know how to dance"),
    ] {
        let transcript = transcript::Transcript::parse("test", text).unwrap();
        let failure = transcript.check(&line::subject(), &Plan::new()).unwrap_err();
        assert!(failure.how.contains(place) && failure.what.contains(what), "{failure}");
    }
}
