//! Running the binary.

use std::{
    ffi::OsStr,
    process::{Command, Output, Stdio},
};

/// How a run ended.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

pub(crate) fn ithaca() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ithaca"));
    command
        .stdin(Stdio::null())
        .env_remove("CREDENTIALS_DIRECTORY")
        .env_remove("ITHACA_LOG")
        // Asked for, a backtrace would still be no sentence.
        .env("RUST_BACKTRACE", "1");
    command
}

/// Runs it to its end.
pub(crate) fn run<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>) -> Ran {
    ended(ithaca().args(arguments).output().unwrap())
}

/// What a run came to.
pub(crate) fn ended(output: Output) -> Ran {
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Ran {
        code: output.status.code().unwrap(),
        out: text(output.stdout),
        err: text(output.stderr),
    }
}

impl Ran {
    #[track_caller]
    pub(crate) fn succeeded(self) -> Self {
        assert_eq!(self.code, 0, "{self:?}");
        assert_eq!(self.err, "", "{self:?}");
        self
    }

    /// Ended with one sentence after what it logged.
    #[track_caller]
    pub(crate) fn refused_after_log(mut self) -> String {
        let last = self.err.trim_end().lines().last().unwrap_or_default();
        self.err = format!("{last}\n");
        self.refused()
    }

    /// Refused with one sentence, which is given back: nothing printed, no backtrace, nothing for
    /// programmers.
    #[track_caller]
    pub(crate) fn refused(self) -> String {
        assert_eq!(self.code, 1, "{self:?}");
        assert_eq!(self.out, "", "{self:?}");
        let Some(sentence) = self.err.strip_prefix("ithaca: ") else {
            panic!("{self:?}");
        };
        assert_eq!(sentence.trim_end().lines().count(), 1, "{self:?}");
        for word in [
            "panicked",
            "RUST_BACKTRACE",
            "Error {",
            "Os {",
            "Some(",
            "Err(",
            "::",
        ] {
            assert!(!sentence.contains(word), "{self:?}");
        }
        sentence.trim_end().to_owned()
    }
}
