//! `ringway demo`.
use std::process::ExitCode;
/// Demo.
pub fn demo() -> ExitCode {
    ExitCode::SUCCESS
}
