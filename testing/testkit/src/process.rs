//! Our programs as processes, which can be killed and paused as a task cannot.

use std::{
    io::Read as _,
    process::{Child, Command, Stdio},
};

/// A process of a test; killed when dropped.
#[derive(Debug)]
pub struct TestProcess {
    child: Child,
}

impl TestProcess {
    /// A process that was started.
    #[must_use]
    pub fn of(child: Child) -> Self {
        Self { child }
    }

    /// Starts the running test binary again, as a process that only runs the `#[ignore]`d test of this path, such as
    /// `process::producer`, with these environment variables. That test must call [`end_with_parent`] first and never
    /// return.
    ///
    /// # Panics
    /// When it cannot be started.
    #[must_use]
    pub fn start(test: &str, environment: &[(&str, &str)]) -> Self {
        let program = std::env::current_exe().unwrap_or_else(|error| panic!("own path: {error}"));
        let child = Command::new(program)
            .args(["--exact", test, "--ignored", "--nocapture", "--test-threads=1"])
            .envs(environment.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn();
        Self::of(child.unwrap_or_else(|error| panic!("start {test}: {error}")))
    }

    /// SIGKILL; returns when it is gone.
    ///
    /// # Panics
    /// When it has already ended and was waited for.
    pub fn kill(&mut self) {
        let killed = self.child.kill().and_then(|()| self.child.wait());
        killed.unwrap_or_else(|error| panic!("kill process: {error}"));
    }

    /// Whether it ended by itself.
    ///
    /// # Panics
    /// When the system does not report it.
    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap_or_else(|error| panic!("look at process: {error}")).is_some()
    }

    /// SIGSTOP: suspends it.
    ///
    /// # Panics
    /// When it has ended.
    pub fn pause(&mut self) {
        self.signal("STOP");
    }

    /// SIGCONT after [`pause`](Self::pause).
    ///
    /// # Panics
    /// When it has ended.
    pub fn wake(&mut self) {
        self.signal("CONT");
    }

    fn signal(&mut self, name: &str) {
        assert!(!self.has_ended(), "the process has ended");
        let status = Command::new("sh")
            .args(["-c", r#"kill "-$1" "$2""#, "signal", name, &self.child.id().to_string()])
            .status();
        assert!(status.is_ok_and(|status| status.success()), "send {name}");
    }
}

impl Drop for TestProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// In a process started by [`TestProcess`]: aborts it when its parent has ended for any reason.
pub fn end_with_parent() {
    std::thread::spawn(|| {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        std::process::abort();
    });
}
