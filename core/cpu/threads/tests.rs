//! Teams of real threads: every task once, nothing lost, nothing left running.
#![cfg(not(target_family = "wasm"))]
#![allow(clippy::unwrap_used)]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use super::*;

/// On more threads than cores, too.
const COUNTS: [usize; 5] = [1, 2, 3, 4, 5];

/// How often each task was run.
fn runs(threads: &Threads, tasks: usize) -> Vec<usize> {
    let runs: Vec<AtomicUsize> = (0..tasks).map(|_| AtomicUsize::new(0)).collect();
    threads.each(tasks, |task| {
        runs[task].fetch_add(1, Relaxed);
    });
    runs.into_iter().map(AtomicUsize::into_inner).collect()
}

#[test]
fn every_task_is_done_once() {
    for count in COUNTS {
        let threads = Threads::new(count).unwrap();
        assert_eq!(threads.count(), count);
        for tasks in (0..20).chain([100, 1000]) {
            assert_eq!(runs(&threads, tasks), vec![1; tasks], "{tasks} tasks on {count} threads");
        }
    }
}

/// A closure that is called after its `each` has returned would add to a sum that is no longer
/// counted, or crash.
#[test]
fn many_small_jobs_lose_nothing_and_leave_nothing() {
    for count in COUNTS {
        let threads = Threads::new(count).unwrap();
        for job in 0..5000 {
            let (tasks, sum) = (job % 7, AtomicUsize::new(0));
            threads.each(tasks, |task| {
                sum.fetch_add(job + task, Relaxed);
            });
            assert_eq!(
                sum.into_inner(),
                tasks * job + tasks * tasks.saturating_sub(1) / 2,
                "job {job} on {count} threads"
            );
        }
    }
}

#[test]
fn helpers_that_slept_come_back() {
    let threads = Threads::new(3).unwrap();
    for _ in 0..50 {
        thread::sleep(Duration::from_millis(1));
        assert_eq!(runs(&threads, 5), [1; 5]);
    }
}

#[test]
fn helpers_do_help() {
    let threads = Threads::new(3).unwrap();
    let (send, receive) = mpsc::channel();
    // Each of the three tasks waits for the other two.
    let barrier = std::sync::Barrier::new(3);
    threads.each(3, |_| {
        barrier.wait();
        send.send(thread::current().id()).unwrap();
    });
    drop(send);
    let mut ids: Vec<String> = receive.iter().map(|id| format!("{id:?}")).collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 3, "{ids:?}");
    assert!(ids.contains(&format!("{:?}", thread::current().id())), "the caller works, too");
}

#[test]
fn a_panic_comes_out_and_the_team_goes_on() {
    for count in COUNTS {
        let threads = Threads::new(count).unwrap();
        for bad in [0, 1, 63] {
            let done = AtomicUsize::new(0);
            let job = || {
                threads.each(64, |task| {
                    assert!(task != bad, "task {task} fails");
                    done.fetch_add(1, Relaxed);
                });
            };
            let panic = catch_unwind(AssertUnwindSafe(job)).unwrap_err();
            assert_eq!(panic.downcast_ref::<String>(), Some(&format!("task {bad} fails")));
            assert!(
                count == 1 || done.into_inner() == 63,
                "the other tasks are done before the panic goes on"
            );
            assert_eq!(runs(&threads, 10), [1; 10]);
        }
        let all = catch_unwind(AssertUnwindSafe(|| threads.each(10, |_| panic!("each"))));
        assert_eq!(all.unwrap_err().downcast_ref::<&str>(), Some(&"each"));
        assert_eq!(runs(&threads, 10), [1; 10]);
    }
}

#[test]
fn jobs_inside_and_beside_jobs_are_done() {
    let threads = Threads::new(3).unwrap();
    let sum = AtomicUsize::new(0);
    let add = |n| {
        sum.fetch_add(n, Relaxed);
    };
    threads.each(10, |outer| threads.each(10, |inner| add(outer * 10 + inner)));
    assert_eq!(sum.load(Relaxed), 99 * 100 / 2);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| (0..1000).for_each(|_| threads.each(4, |_| add(1))));
        }
    });
    assert_eq!(sum.load(Relaxed), 99 * 100 / 2 + 16_000);
}

/// The leader need not be who made the team, nor the same every time.
#[test]
fn teams_are_many_and_move_and_end() {
    let ended = |threads: Threads| {
        let team = Arc::downgrade(&threads.team);
        drop(threads);
        team.upgrade().is_none()
    };
    for round in 0..200 {
        let (first, second) = (Threads::new(1 + round % 5).unwrap(), Threads::new(2).unwrap());
        assert_eq!(runs(&first, 9), [1; 9]);
        let second = thread::spawn(move || {
            assert_eq!(runs(&second, 9), [1; 9]);
            second
        });
        let second = second.join().unwrap();
        assert_eq!(runs(&second, 9), [1; 9]);
        assert!(ended(first) && ended(second), "a helper outlives its team");
    }
}

#[test]
fn too_many_are_refused() {
    assert_eq!(Threads::new(MOST + 1).err().map(|error| error.code), Some(Code::BadOption));
    assert!(Threads::new(0).unwrap().count() >= 1);
}
