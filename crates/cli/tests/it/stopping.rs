//! How a node ends that is told to.

use crate::institution::Institution;

/// Which of its parts notices first is a matter of luck, so it is tried often.
const TIMES: usize = 6;

#[test]
fn a_clean_stop_logs_no_error() {
    let folder = tempfile::tempdir().unwrap();
    let institution = Institution::found(folder.path());
    for round in 0..TIMES {
        let server = institution.start();
        let subject = server.open();
        server.deposit(&subject, b"a letter").is(201);
        let said = server.stop(if round % 2 == 0 { "-INT" } else { "-TERM" });
        for word in ["ERROR", "WARN", "panicked"] {
            assert!(!said.contains(word), "{said}");
        }
        assert!(said.contains("ithaca: stopping"), "{said}");
    }
}
