//! A sync manager that calls the handler from inside its own callbacks.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;

use super::*;

/// The time limit of a row, which takes milliseconds.
const PATIENCE: Duration = Duration::from_secs(60);

type Method = fn(&ISyncMgrSynchronize) -> Hresult;

/// The methods that wait for the plugin, and must not do so while the plugin waits for the manager.
const WAITING: [(&str, Method); 2] = [
    ("GetHandlerInfo", |handler| {
        let mut info = null_mut();
        // SAFETY: there is a place for the pointer.
        let answer = ours(unsafe { handler.GetHandlerInfo(&raw mut info) });
        assert_eq!(answer.is_success(), !info.is_null());
        // SAFETY: it is ours to free, or NULL.
        unsafe { task_memory::free(info) };
        answer
    }),
    ("EnumSyncMgrItems", |handler| {
        let mut items = null_mut();
        // SAFETY: there is a place for the pointer.
        let answer = ours(unsafe { handler.EnumSyncMgrItems(&raw mut items) });
        assert_eq!(answer.is_success(), !items.is_null());
        if answer.is_success() {
            // SAFETY: the call succeeded.
            drop(unsafe { ISyncMgrEnumItems::from_raw(items) });
        }
        answer
    }),
];

/// The methods that return at once, and may complete later.
const ASYNCHRONOUS: [(&str, Method); 2] = [
    ("ShowProperties", |handler| {
        let id = GUID_NULL;
        // SAFETY: the id lives until the call returns.
        ours(unsafe { handler.ShowProperties(null_mut(), &raw const id) })
    }),
    ("ShowError", |handler| {
        let id = guid("e");
        // SAFETY: the id lives until the call returns.
        ours(unsafe { handler.ShowError(null_mut(), &raw const id) })
    }),
];

/// All other methods.
const OTHERS: [(&str, Method); 8] = [
    ("QueryInterface", |handler| {
        let mut object = null_mut();
        // SAFETY: there is a place for the pointer.
        let answer = ours(unsafe { handler.query(&IUnknown::IID, &raw mut object) });
        // SAFETY: the call succeeded.
        drop(unsafe { IUnknown::from_raw(object) });
        answer
    }),
    ("Initialize", |handler| {
        // SAFETY: there is no cookie.
        ours(unsafe { handler.Initialize(0, MANUAL, 0, null()) })
    }),
    ("GetItemObject", |handler| {
        let (id, mut object) = (guid("a"), null_mut());
        // SAFETY: there is a place for the pointer.
        ours(unsafe { handler.GetItemObject(&raw const id, &IUnknown::IID, &raw mut object) })
    }),
    ("PrepareForSync", |handler| {
        let id = guid("a");
        // SAFETY: there is one id.
        ours(unsafe { handler.PrepareForSync(1, &raw const id, null_mut(), 0) })
    }),
    ("Synchronize", |handler| {
        // SAFETY: there is no window.
        ours(unsafe { handler.Synchronize(null_mut()) })
    }),
    ("SetItemStatus of an item", |handler| {
        let id = guid("a");
        // SAFETY: the id lives until the call returns.
        ours(unsafe { handler.SetItemStatus(&raw const id, 1) })
    }),
    ("SetItemStatus of all", |handler| {
        let id = GUID_NULL;
        // SAFETY: the id lives until the call returns.
        ours(unsafe { handler.SetItemStatus(&raw const id, 0) })
    }),
    ("SetProgressCallback", |handler| {
        // SAFETY: NULL is allowed.
        ours(unsafe { handler.SetProgressCallback(null_mut()) })
    }),
];

/// The exported functions in which a plugin calls back.
const EXPORTS: [&str; 7] = [
    "initialize",
    "get-handler-info",
    "enum-items",
    "prepare-for-sync",
    "synchronize",
    "show-error",
    "get-properties",
];

/// The callbacks, and the commands that cause them.
const CALLBACKS: [(&str, &str); 4] = [
    ("LogError", "log text=x"),
    ("DeleteLogError", "log text=x id=e\ndelete-log id=e"),
    ("EstablishConnection", "connect"),
    ("EnableModeless", "question text=Which? choices=one,two"),
];

/// Makes a call of the handler when an export calls this callback first, and returns the answer.
fn call_from(callback: &'static str, export: &'static str, work: &str, method: Method) -> Hresult {
    let place: Arc<Mutex<Option<AnyThread>>> = Arc::default();
    let armed = Arc::new(AtomicBool::new(false));
    let (inside, arm) = (Arc::clone(&place), Arc::clone(&armed));
    let (answered, answer) = mpsc::channel();
    let answered = Mutex::new(answered);
    let calls: Answer = Some(Box::new(move |called, _, _| {
        if called == callback && armed.swap(false, Ordering::SeqCst) {
            let handler = {
                let handler = inside.lock().expect("the lock is not poisoned");
                handler.as_ref().map(|AnyThread(handler)| handler.clone())
            };
            let answer = method(&handler.expect("the client has a handler"));
            answered.lock().expect("the lock is not poisoned").send(answer).expect("it is awaited");
        }
        Hresult::S_OK
    }));
    let client = client(SessionOptions::new().setting(export, work), calls);
    *place.lock().expect("the lock is not poisoned") = Some(AnyThread(client.handler().clone()));
    assert_eq!(client.set_callback(), Hresult::S_OK);
    let first = export == "initialize";
    arm.store(first, Ordering::SeqCst);
    assert_eq!(client.initialize(MANUAL), Hresult::S_OK);
    if export == "synchronize" {
        assert_eq!(client.prepare_named("a b"), Hresult::S_OK);
        let prepared = client.completed("PrepareForSyncCompleted").expect("it completes");
        assert_eq!(prepared.outcome, Hresult::S_OK);
    }
    arm.store(!first, Ordering::SeqCst);
    let began = match export {
        "initialize" => Hresult::S_OK,
        "get-handler-info" => WAITING[0].1(client.handler()),
        "enum-items" => WAITING[1].1(client.handler()),
        "prepare-for-sync" => client.prepare_named("a b"),
        "synchronize" => client.synchronize(),
        "show-error" => client.show_error(guid("e")),
        _properties => client.show_properties(GUID_NULL),
    };
    assert_eq!(began, Hresult::S_OK);
    // Without a callback there is no completion, so the test waits for the answer only.
    let answer = answer.recv().expect("the callback is called");
    // It refers to the handler, and the handler refers to the callback.
    *place.lock().expect("the lock is not poisoned") = None;
    answer
}

/// The same on a thread that may not return.
fn watched(
    callback: &'static str,
    export: &'static str,
    work: &'static str,
    (name, method): (&'static str, Method),
) -> Hresult {
    let row = format!("{name} from inside {callback} in {export}");
    let (done, answer) = mpsc::channel();
    std::thread::spawn(move || done.send(call_from(callback, export, work, method)));
    answer.recv_timeout(PATIENCE).unwrap_or_else(|error| panic!("{row}: {error}"))
}

/// The callbacks of an export.
fn callbacks(export: &'static str) -> Vec<(&'static str, &'static str)> {
    let reports = ("Progress", "progress item=a status=updating quiet=1");
    let in_run = export == "synchronize" || export == "prepare-for-sync";
    CALLBACKS.into_iter().chain(in_run.then_some(reports)).collect()
}

#[test]
fn no_method_waits_for_the_plugin_from_inside_a_callback() {
    for export in EXPORTS {
        for (callback, work) in callbacks(export) {
            for method in WAITING {
                let answer = watched(callback, export, work, method);
                let busy = Hresult::HRESULT_ERROR_BUSY;
                assert_eq!(answer, busy, "{} in {callback} in {export}", method.0);
            }
            for method in ASYNCHRONOUS {
                let answer = watched(callback, export, work, method);
                let expected = match export {
                    "initialize" => Hresult::E_UNEXPECTED,
                    "prepare-for-sync" | "synchronize" => Hresult::HRESULT_ERROR_BUSY,
                    // They complete when the plugin is idle.
                    _any_other => Hresult::S_OK,
                };
                assert_eq!(answer, expected, "{} in {callback} in {export}", method.0);
            }
            for method in OTHERS {
                let _ = watched(callback, export, work, method);
            }
        }
    }
}

#[test]
fn every_method_may_be_called_from_inside_a_completion() {
    for (callback, export) in [
        ("PrepareForSyncCompleted", "prepare-for-sync"),
        ("SynchronizeCompleted", "synchronize"),
        ("ShowErrorCompleted", "show-error"),
        ("ShowPropertiesCompleted", "get-properties"),
    ] {
        for method in WAITING.into_iter().chain(ASYNCHRONOUS) {
            let answer = watched(callback, export, "", method);
            assert_eq!(answer, Hresult::S_OK, "{} in {callback}", method.0);
        }
        for method in OTHERS {
            let _ = watched(callback, export, "", method);
        }
    }
}
