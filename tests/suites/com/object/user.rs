//! Dialogs and questions.

use super::*;

#[test]
fn log_entries_have_their_fields_and_can_be_removed() -> Result<()> {
    let work = "log item=a level=error text=one id=a jump=1
        log level=warning text=two
        delete-log id=a
        delete-log
        progress item=a status=succeeded
        progress item=b status=succeeded";
    let client = client(script(work), agree());
    let _ = client.run(MANUAL, "a b")?;
    let log = client.log();
    let about_log: Vec<_> = log.iter().filter(|line| line.contains("LogError")).collect();
    assert_eq!(
        about_log,
        [
            "LogError a level=3 \"one\" id=a flags=1",
            "LogError level=2 \"two\"",
            "DeleteLogError a",
            "DeleteLogError all",
        ]
    );
    Ok(())
}

#[test]
fn items_requested_by_show_error_are_synchronized_again() -> Result<()> {
    let work = "log item=a level=error text=one id=e jump=1
        progress item=a status=failed
        progress item=b status=succeeded";
    let options = script(work).setting("retry", "a").setting("detail", "the whole story");
    let client = client(options, answer("Progress", "a", 1, Hresult::S_SYNCMGR_CANCELITEM));
    let _ = client.run(MANUAL, "a b")?;
    assert_eq!(client.show_error(guid("e")), Hresult::S_OK);
    let shown = client.completed("ShowErrorCompleted")?;
    assert_eq!((shown.outcome, &shown.retry[..]), (Hresult::S_SYNCMGR_RETRYSYNC, &[guid("a")][..]));
    let before = client.made().len();
    let _ = client.prepare_and_synchronize("a")?;
    let again = format!("{:?}", &client.made()[before..]);
    assert!(
        again.contains("progress: ProgressResponse::Continue"),
        "what was cancelled then is wanted now: {again}"
    );
    Ok(())
}

#[test]
fn a_restarted_item_has_no_text() -> Result<()> {
    let work = "progress item=a value=1
        progress item=a status=failed text=broken";
    let client = client(script(work), agree());
    client.begin(MANUAL);
    for _ in 0..2 {
        let before = client.log().len();
        let _ = client.prepare_and_synchronize("a")?;
        assert_eq!(
            client.log()[before + 1..before + 3],
            ["Progress a status=3 1/0", "Progress a status=5 1/0 \"broken\""]
        );
    }
    Ok(())
}

#[test]
fn show_error_without_details_completes_with_the_failure() -> Result<()> {
    let options = script("progress item=a status=succeeded");
    let client = client(options.setting("show-error", "fail code=not-implemented"), agree());
    let _ = client.run(MANUAL, "a")?;
    assert_eq!(client.show_error(guid("e")), Hresult::S_OK);
    let shown = client.completed("ShowErrorCompleted")?;
    assert_eq!((shown.outcome, shown.retry.len()), (Hresult::E_NOTIMPL, 0));
    Ok(())
}

/// A user who always gives the same answer.
#[derive(Clone, Default)]
struct User {
    seen: Arc<Mutex<Vec<String>>>,
}

impl User {
    fn see(&self, what: String) {
        self.seen.lock().expect("the lock is not poisoned").push(what);
    }
}

impl UserInterface for User {
    fn ask(&self, _: Parent, title: &str, question: &Question) -> Option<usize> {
        self.see(format!("{title}: {} {:?}", question.text, question.choices));
        Some(1)
    }

    fn show(&self, _: Parent, title: &str, text: &str) {
        self.see(format!("{title}: {text}"));
    }

    fn edit(
        &self,
        _: Parent,
        title: &str,
        properties: &[Property],
    ) -> Option<Vec<(String, PropertyValue)>> {
        self.see(format!("{title}: {}", properties[0].label));
        Some(vec![(properties[0].name.clone(), PropertyValue::Choice(0))])
    }
}

fn client_with(user: &User, options: SessionOptions, answer: Answer) -> Client {
    let options = options.setting("items", "a b");
    Client::with(handler::create(class(script::plugin(), options, user.clone())), "a b", answer)
}

#[test]
fn a_question_is_bracketed_and_shown_only_when_allowed() -> Result<()> {
    let work = "question text=Which? choices=one,two";
    for (flags, modeless, choice, shown, brackets) in [
        (MANUAL, Hresult::S_OK, 1, 1, 2),
        (MANUAL, Hresult::S_FALSE, 0, 0, 1),
        (MANUAL, Hresult::E_FAIL, 0, 0, 1),
        (3, Hresult::S_OK, 0, 0, 0),
    ] {
        let user = User::default();
        let client = client_with(&user, script(work), answer("EnableModeless", "", 1, modeless));
        let _ = client.run(flags, "a")?;
        let made = client.made();
        let said = format!("question: {choice}");
        assert!(made.iter().any(|made| made.arguments.contains(&said)), "{flags:#x} {modeless}");
        let seen = user.seen.lock().expect("the lock is not poisoned").clone();
        assert_eq!(seen.len(), shown, "{flags:#x} {modeless}");
        let asked: Vec<_> = made
            .iter()
            .filter(|made| made.method == "EnableModeless")
            .map(|m| &m.arguments)
            .collect();
        assert_eq!(asked, &["1", "0"][..brackets], "{flags:#x} {modeless}");
    }
    Ok(())
}

#[test]
fn an_error_and_properties_are_shown_to_the_user() -> Result<()> {
    let user = User::default();
    let options = script("progress item=a status=succeeded").setting("detail", "the whole story");
    let client = client_with(&user, options.setting("name", "Mine"), agree());
    let _ = client.run(3, "a")?;
    let mut info = null_mut();
    // SAFETY: there is a place for the pointer.
    assert_eq!(ours(unsafe { client.handler().GetHandlerInfo(&raw mut info) }), Hresult::S_OK);
    // SAFETY: it is ours to free.
    unsafe { task_memory::free(info) };
    assert_eq!(client.show_error(guid("e")), Hresult::S_OK);
    assert_eq!(client.completed("ShowErrorCompleted")?.outcome, Hresult::S_OK);
    assert_eq!(client.show_properties(GUID_NULL), Hresult::S_OK);
    let completed = client.completed("ShowPropertiesCompleted")?.outcome;
    assert_eq!(completed, Hresult::S_SYNCMGR_ENUMITEMS);
    let seen = user.seen.lock().expect("the lock is not poisoned").clone();
    assert_eq!(seen, ["Mine: the whole story", "Mine: Speed"]);
    Ok(())
}

#[test]
fn a_connection_is_asked_for_by_name_or_without() -> Result<()> {
    let work = "connect to=work\nconnect";
    let client = client(script(work), answer("EstablishConnection", "", 2, Hresult::E_FAIL));
    let _ = client.run(MANUAL, "a")?;
    let made = client.made();
    let asked: Vec<_> = made
        .iter()
        .filter(|m| m.method == "EstablishConnection")
        .map(|m| m.arguments.as_str())
        .collect();
    assert_eq!(asked, ["work", "default"]);
    let said = format!("{made:?}");
    assert!(said.contains("connect: ok") && said.contains("connect: ErrorCode::Failed"), "{said}");
    Ok(())
}

#[test]
fn text_is_utf_16_with_one_terminating_nul() -> Result<()> {
    let work = "progress item=a status=updating text=\u{1F600}_\u{E4} quiet=1";
    let client = client(script(work), agree());
    let _ = client.run(MANUAL, "a")?;
    assert!(client.log().contains(&"Progress a status=3 0/0 \"\u{1F600} \u{E4}\"".to_owned()));
    Ok(())
}
