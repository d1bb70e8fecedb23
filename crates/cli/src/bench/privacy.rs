//! What leaves an institution: how much is lost, how likely a person is found again, beside other tools of the same run.

mod tabular;

use super::PrivacyOptions;
use anyhow::Result;

#[expect(clippy::print_stdout, reason = "what was measured")]
pub(super) fn run(options: &PrivacyOptions) -> Result<()> {
    let tabular = tabular::measure(options.python.as_deref())?;
    if options.json {
        println!("{:#}", serde_json::json!({ "tabular": tabular }));
    } else {
        println!("{}", tabular::shown(&tabular));
    }
    Ok(())
}
