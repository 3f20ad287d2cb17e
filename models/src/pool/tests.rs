use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use super::*;

#[test]
fn every_part_runs_exactly_once() {
    for threads in [1, 2, 3, 8] {
        let pool = Pool::new(threads);
        assert_eq!(pool.threads(), threads);
        let counts: Vec<AtomicUsize> = (0..threads).map(|_| AtomicUsize::new(0)).collect();
        for _ in 0..1000 {
            pool.run(&|part| {
                counts[part].fetch_add(1, Ordering::Relaxed);
            });
        }
        assert!(
            counts
                .iter()
                .all(|count| count.load(Ordering::Relaxed) == 1000)
        );
    }
}

/// Jobs borrow a value of the loop body: a worker that ran late would read a dead stack slot and break the sum.
#[test]
fn jobs_borrow_from_the_caller_under_stress() {
    let pool = Pool::new(4);
    for round in 0..20_000u64 {
        let input = [round, round + 1, round + 2, round + 3];
        let sum = AtomicU64::new(0);
        pool.run(&|part| {
            sum.fetch_add(input[part], Ordering::Relaxed);
        });
        assert_eq!(sum.into_inner(), 4 * round + 6);
        if round % 2000 == 0 {
            // Long enough for the workers to park.
            thread::sleep(Duration::from_millis(1));
        }
    }
}

#[test]
fn callers_on_several_threads_take_turns() {
    let pool = Pool::new(3);
    let total = AtomicU64::new(0);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..2000 {
                    pool.run(&|part| {
                        total.fetch_add(part as u64 + 1, Ordering::Relaxed);
                    });
                }
            });
        }
    });
    assert_eq!(total.into_inner(), 4 * 2000 * 6);
}

#[test]
fn a_call_from_inside_a_job_runs_on_that_thread() {
    let pool = Pool::new(3);
    let total = AtomicUsize::new(0);
    pool.run(&|_| {
        pool.run(&|_| {
            total.fetch_add(1, Ordering::Relaxed);
        })
    });
    assert_eq!(total.into_inner(), 9);
}

#[test]
fn a_panic_reaches_the_caller_and_the_pool_goes_on() {
    let pool = Pool::new(3);
    for guilty in 0..3 {
        let finished = AtomicUsize::new(0);
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            pool.run(&|part| {
                assert_ne!(part, guilty, "part {part} gives up");
                thread::sleep(Duration::from_millis(2));
                finished.fetch_add(1, Ordering::Relaxed);
            });
        }));
        let payload = outcome.unwrap_err();
        let text = payload.downcast_ref::<String>().unwrap();
        assert!(text.contains(&format!("part {guilty} gives up")), "{text}");
        assert_eq!(
            finished.into_inner(),
            2,
            "the others end before the panic goes on"
        );
        let ran = AtomicUsize::new(0);
        pool.run(&|_| {
            ran.fetch_add(1, Ordering::Relaxed);
        });
        assert_eq!(ran.into_inner(), 3);
    }
}

#[test]
fn for_each_visits_every_chunk_once() {
    let pool = Pool::new(4);
    let mut data = vec![0u32; 1003];
    for_each(&pool, data.chunks_mut(10).enumerate(), |(index, chunk)| {
        for value in chunk {
            *value += index as u32 + 1;
        }
    });
    let want: Vec<u32> = (0..1003).map(|i| i / 10 + 1).collect();
    assert_eq!(data, want);
}
