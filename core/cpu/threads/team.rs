//! A leader and its helpers. Between two ops they meet without a lock and without allocating; who
//! waits long sleeps.
//!
//! A *job* is a closure and a number of tasks. The one rule that keeps it sound: only who has
//! counted `untaken` down may read the job, and the leader does not go on before all tasks that
//! were counted down are also counted in `unfinished`. So a helper that wakes late finds either
//! nothing to count down, or a task of the present job; it never calls a closure that is gone.

use std::any::Any;
use std::cell::UnsafeCell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release, SeqCst};
use std::sync::{Mutex, PoisonError};
use std::thread::{self, Thread};

/// What the leader and the helpers share.
pub struct Team {
    /// Tasks of the job that nobody has begun.
    untaken: Line<AtomicUsize>,
    /// Tasks of the job whose end has not been reported.
    unfinished: Line<AtomicUsize>,
    job: UnsafeCell<Job>,
    /// A job is under way.
    busy: AtomicBool,
    closed: AtomicBool,
    leader: Line<Seat>,
    helpers: Box<[Line<Seat>]>,
    /// How often a waiting thread looks before it sleeps.
    spins: u32,
    /// A task of the job has panicked, and what with.
    panicked: AtomicBool,
    panic: Mutex<Option<Box<dyn Any + Send>>>,
}

// SAFETY: `job` is read only by who has taken a task of it, and written only while there is none:
// see `each`.
unsafe impl Sync for Team {}
// SAFETY: what `job` points to is never touched outside of `each`, and is `Sync`.
unsafe impl Send for Team {}

/// A closure without its type and its lifetime.
#[derive(Clone, Copy)]
struct Job {
    tasks: usize,
    closure: *const (),
    call: unsafe fn(*const (), usize),
}

/// Calls task `task` of the closure.
///
/// # Safety
/// `closure` points to a living `F`.
unsafe fn call<F: Fn(usize) + Sync>(closure: *const (), task: usize) {
    // SAFETY: the caller's.
    unsafe { (*closure.cast::<F>())(task) }
}

impl Team {
    /// With this many helpers, who come by [`Team::help`]; until they do, the leader works alone.
    pub fn new(helpers: usize, spins: u32) -> Team {
        Team {
            untaken: Line::default(),
            unfinished: Line::default(),
            job: UnsafeCell::new(Job {
                tasks: 0,
                closure: std::ptr::null(),
                call: call::<fn(usize)>,
            }),
            busy: AtomicBool::new(false),
            closed: AtomicBool::new(false),
            leader: Line::default(),
            helpers: (0..helpers).map(|_| Line::default()).collect(),
            spins,
            panicked: AtomicBool::new(false),
            panic: Mutex::new(None),
        }
    }

    /// How many there are room for.
    pub fn helpers(&self) -> usize {
        self.helpers.len()
    }

    /// Runs the tasks `0 .. tasks`, each once, the first ones first, and waits for all. A task's
    /// panic comes out here, after the others have ended.
    pub fn each<F: Fn(usize) + Sync>(&self, tasks: usize, task: F) {
        // A job inside a job, or beside one, is its caller's own affair.
        if self.helpers.is_empty() || tasks < 2 || self.busy.swap(true, Acquire) {
            return (0..tasks).for_each(task);
        }
        // SAFETY: `busy` was free, so all tasks of the last job were taken and have been reported:
        // nobody reads `job` until `untaken` is raised.
        unsafe {
            *self.job.get() = Job { tasks, closure: (&raw const task).cast(), call: call::<F> }
        };
        self.unfinished.0.store(tasks, Relaxed);
        self.untaken.0.store(tasks, SeqCst);
        for helper in self.helpers.iter().take(tasks - 1) {
            helper.0.wake();
        }
        self.work();
        self.wait();
        let panic = self
            .panicked
            .swap(false, Relaxed)
            .then(|| self.panic.lock().unwrap_or_else(PoisonError::into_inner).take());
        self.busy.store(false, Release);
        if let Some(Some(panic)) = panic {
            resume_unwind(panic);
        }
    }

    /// A helper's life: works whenever there is work, until the team is closed.
    pub fn help(&self, seat: usize) {
        let seat = &self.helpers[seat].0;
        seat.sit_down();
        let called = || self.untaken.0.load(SeqCst) > 0 || self.closed.load(SeqCst);
        while !self.closed.load(Relaxed) {
            self.work();
            if !self.spin_until(called) {
                seat.sleep_unless(called);
            }
        }
    }

    /// Sends the helpers away.
    pub fn close(&self) {
        self.closed.store(true, SeqCst);
        self.helpers.iter().for_each(|helper| helper.0.wake());
    }

    /// Does tasks while there are any.
    fn work(&self) {
        let mut done = 0;
        while let Ok(left) =
            self.untaken.0.fetch_update(Acquire, Relaxed, |left| left.checked_sub(1))
        {
            // SAFETY: a task of the job is ours, and not reported: the job stays.
            let Job { tasks, closure, call } = unsafe { *self.job.get() };
            // SAFETY: `each` keeps the closure, which is of this type, until all tasks are
            // reported.
            let task = || unsafe { call(closure, tasks - left) };
            if let Err(panic) = catch_unwind(AssertUnwindSafe(task)) {
                *self.panic.lock().unwrap_or_else(PoisonError::into_inner) = Some(panic);
                self.panicked.store(true, Relaxed);
            }
            done += 1;
        }
        // From here on the job may be gone.
        if done > 0 && self.unfinished.0.fetch_sub(done, SeqCst) == done {
            self.leader.0.wake();
        }
    }

    /// Waits for the tasks that helpers took.
    fn wait(&self) {
        let over = || self.unfinished.0.load(SeqCst) == 0;
        if self.spin_until(over) {
            return;
        }
        self.leader.0.sit_down();
        while !over() {
            self.leader.0.sleep_unless(over);
        }
    }

    /// Looks for a while; whether it came.
    fn spin_until(&self, came: impl Fn() -> bool) -> bool {
        (0..self.spins).any(|_| {
            std::hint::spin_loop();
            came()
        })
    }
}

/// Where a thread sleeps until it is woken.
///
/// Who sleeps says so and then looks once more; who wakes first changes what the sleeper looks at,
/// and then reads whether anyone sleeps. Both in one order (`SeqCst`), so that at least one sees
/// the other.
#[derive(Default)]
struct Seat {
    asleep: AtomicBool,
    /// Read only to wake a sleeper, so it is free whenever anyone wants it.
    thread: Mutex<Option<Thread>>,
}

impl Seat {
    /// The seat is this thread's.
    fn sit_down(&self) {
        *self.thread.lock().unwrap_or_else(PoisonError::into_inner) = Some(thread::current());
    }

    /// Sleeps until woken; may also return for no reason.
    fn sleep_unless(&self, came: impl Fn() -> bool) {
        self.asleep.store(true, SeqCst);
        while self.asleep.load(SeqCst) && !came() {
            thread::park();
        }
        self.asleep.store(false, Relaxed);
    }

    fn wake(&self) {
        if self.asleep.load(SeqCst)
            && self.asleep.swap(false, SeqCst)
            && let Some(thread) = &*self.thread.lock().unwrap_or_else(PoisonError::into_inner)
        {
            thread.unpark();
        }
    }
}

/// On cache lines of its own: threads that wait for one thing do not slow down those who change
/// another.
#[derive(Default)]
#[repr(align(128))]
struct Line<T>(T);
