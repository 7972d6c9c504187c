//! HRESULTs and their meaning: total functions, and consistent in both directions.
#![no_main]

use libfuzzer_sys::fuzz_target;
use syncmgr_fuzz::STATUSES;
use syncmgr_host::hresult::{self, Hresult};
use syncmgr_host::{ErrorCode, ProgressResponse, Status, fuzzing};

fn check(code: Hresult) {
    let response = hresult::to_progress_response(code);
    let expected = match code {
        Hresult::S_SYNCMGR_CANCELITEM => ProgressResponse::CancelItem,
        Hresult::S_SYNCMGR_CANCELALL => ProgressResponse::CancelAll,
        other if other.0 < 0x8000_0000 => ProgressResponse::Continue,
        _ => ProgressResponse::CancelAll,
    };
    assert_eq!(response, expected, "{code}");
    let back = hresult::from_progress_response(response);
    assert_eq!(hresult::to_progress_response(back), response, "{code}");
    assert!(back.is_success());

    let text = code.to_string();
    let (_, digits) = text.split_once("0x").expect("the number is in the text");
    let number = u32::from_str_radix(digits.trim_end_matches(')'), 16);
    assert_eq!(number.ok(), Some(code.0), "{text}");
    let named: Vec<_> = Hresult::NAMED.iter().filter(|(_, named)| *named == code).collect();
    assert!(named.len() <= 1, "{named:?}");
    match code.name() {
        Some(name) => assert!(text.starts_with(name) && named[0].0 == name, "{text}"),
        None => assert!(named.is_empty(), "{text}"),
    }
}

fuzz_target!(|input: (u32, u8, u8)| {
    let (number, status, code) = input;
    check(Hresult(number));
    // The numbers next to the named ones.
    let (_, named) = Hresult::NAMED[usize::from(code) % Hresult::NAMED.len()];
    for bit in 0..32 {
        check(Hresult(named.0 ^ 1 << bit));
    }
    check(named);

    let status = STATUSES[usize::from(status) % STATUSES.len()];
    let code = ErrorCode::ALL[usize::from(code) % ErrorCode::ALL.len()];
    assert_eq!(fuzzing::there_and_back(code), code);
    let failure = hresult::from_error_code(code);
    assert!(!failure.is_success() && failure.name().is_some(), "{code:?}");
    let end = hresult::from_item_end(status, Some(code));
    assert_eq!(end.is_success(), status.is_terminal() && status != Status::Failed, "{status:?}");
    assert!(end.is_success() || end == failure);
});
