use tempfile::TempDir;

use super::*;
use crate::rag::fake::Fake;
use crate::rag::library::{Library, LibraryOptions};

struct Scene {
    folder: TempDir,
    library: Library,
    jobs: Arc<Jobs>,
    fake: Arc<Fake>,
}

impl Scene {
    async fn new() -> Scene {
        Scene::with(Arc::new(Fake::new("fake", 64))).await
    }

    async fn with(fake: Arc<Fake>) -> Scene {
        Scene::reopen(tempfile::tempdir().unwrap(), fake).await
    }

    async fn reopen(folder: TempDir, fake: Arc<Fake>) -> Scene {
        let jobs = Jobs::open(folder.path().join("jobs")).unwrap();
        let options = LibraryOptions::new(folder.path().to_owned());
        let library = Library::open(options, &jobs.unfinished()).await.unwrap();
        Scene {
            folder,
            library,
            jobs: Arc::new(jobs),
            fake,
        }
    }

    /// What a new process finds in the folder.
    async fn restart(self) -> Scene {
        let Scene {
            folder,
            library,
            jobs,
            fake,
        } = self;
        drop((library, jobs));
        Scene::reopen(folder, fake).await
    }

    fn submit(&self, tenant: &str, files: &[(&str, &str)]) -> Job {
        let mut incoming = self.jobs.begin(tenant).unwrap();
        for (name, text) in files {
            let file = IncomingFile {
                name: (*name).to_owned(),
                collection: "default".to_owned(),
                ..IncomingFile::default()
            };
            incoming.file(file).unwrap();
            incoming.write(text.as_bytes()).unwrap();
        }
        self.jobs.submit(incoming).unwrap()
    }

    /// Works until the job has ended.
    async fn work_until_end(&self, job: &Job) -> Job {
        let (library, jobs) = (self.library.clone(), Arc::clone(&self.jobs));
        let fake: Arc<dyn crate::rag::embed::Embedder> = self.fake.clone();
        tokio::select! {
            () = work(library, jobs, fake) => panic!("work never ends"),
            job = self.end(job) => job,
        }
    }

    async fn end(&self, job: &Job) -> Job {
        let mut changes = self.jobs.changes();
        loop {
            changes.borrow_and_update();
            let now = self.jobs.job(&job.tenant, &job.id).unwrap();
            // The end is known a moment before its files are gone.
            if now.state.is_end() && !self.jobs.lock().running.contains_key(&job.id) {
                return now;
            }
            changes.changed().await.unwrap();
        }
    }

    fn files(&self) -> usize {
        let jobs = std::fs::read_dir(self.folder.path().join("jobs")).unwrap();
        let files = jobs.flat_map(|job| std::fs::read_dir(job.unwrap().path()).unwrap());
        let names = files.map(|file| file.unwrap().file_name());
        names.filter(|name| name != "job.json").count()
    }
}

fn long(word: &str, sentences: usize) -> String {
    let sentence =
        |n| format!("Sentence number {n} is about {word} and says so in a few words.\n\n");
    (0..sentences).map(sentence).collect()
}

#[tokio::test]
async fn a_job_adds_what_it_can_and_says_what_it_cannot() {
    let scene = Scene::new().await;
    let files = [
        ("a.txt", "Words."),
        ("b.json", "{"),
        ("c.txt", "Words."),
        ("d.md", "# Dee\n\nMore."),
    ];
    let job = scene.submit("t", &files);
    assert_eq!((job.state, scene.files()), (JobState::Waiting, 4));
    let job = scene.work_until_end(&job).await;
    assert_eq!(job.state, JobState::Failed);
    let states: Vec<_> = job
        .documents
        .iter()
        .map(|d| (d.state, d.is_duplicate))
        .collect();
    let (done, failed) = (JobState::Done, JobState::Failed);
    assert_eq!(
        states,
        [(done, false), (failed, false), (done, true), (done, false)]
    );
    assert_eq!(
        job.documents[1].error.as_deref(),
        Some("the file is not JSON")
    );
    assert_eq!(job.documents[2].document_id, job.documents[0].document_id);
    assert_eq!(job.documents[3].title.as_deref(), Some("Dee"));
    assert_eq!(job.passages(), (2, 2));
    assert_eq!(job.bytes().1, 6 + 6 + 12);
    assert_eq!(
        scene.library.documents("t", None, None, 9).documents.len(),
        2
    );
    assert_eq!(scene.files(), 0, "files are gone with the end");
    let retry = scene.jobs.retry("t", &job.id).unwrap_err();
    assert!(matches!(retry, JobError::NothingToRetry));
    assert!(matches!(
        scene.jobs.job("u", &job.id),
        Err(JobError::Unknown(_))
    ));
    assert!(scene.jobs.list("u").is_empty());
}

#[tokio::test]
async fn an_end_in_the_middle_goes_on_after_a_restart() {
    let scene = Scene::new().await;
    let job = scene.submit(
        "t",
        &[("a.txt", "First."), ("b.txt", &long("puffins", 3000))],
    );
    scene.fake.fail_after(Some(1300));
    // The process ends while the job runs: neither its end nor its failure is written.
    let (running, cancelled) = scene.jobs.next().await;
    assert!(!cancelled.load(Ordering::Relaxed) && running.id == job.id);
    let mut batch = scene.library.batch(scene.fake.as_ref()).await.unwrap();
    let new = |at: usize, text: String| crate::rag::library::NewDocument {
        id: job.documents[at].document_id.clone(),
        tenant: "t".to_owned(),
        collection: "default".to_owned(),
        title: None,
        url: None,
        name: job.documents[at].name.clone(),
        metadata: Metadata::new(),
        bytes: text.into_bytes(),
    };
    batch
        .add(new(0, "First.".to_owned()), &|_| true)
        .await
        .unwrap();
    assert!(
        batch
            .add(new(1, long("puffins", 3000)), &|_| true)
            .await
            .is_err()
    );
    drop(batch);
    scene.fake.fail_after(None);
    let before = scene.fake.embedded();
    let scene = scene.restart().await;
    let again = scene.jobs.job("t", &job.id).unwrap();
    assert_eq!(again.state, JobState::Waiting);
    let job = scene.work_until_end(&job).await;
    assert_eq!(job.state, JobState::Done);
    assert!(
        job.documents.iter().all(|document| !document.is_duplicate),
        "{job:?}"
    );
    let passages = scene.library.passages();
    assert!(
        scene.fake.embedded() - before < passages,
        "some were embedded before"
    );
    assert_eq!(
        scene.library.documents("t", None, None, 9).documents.len(),
        2
    );
    let scene = scene.restart().await;
    assert_eq!(
        scene.jobs.job("t", &job.id).unwrap(),
        job,
        "the end is remembered"
    );
}

#[tokio::test]
async fn a_job_that_the_process_never_outlives_is_given_up() {
    let mut scene = Scene::new().await;
    let job = scene.submit("t", &[("a.txt", "Words.")]);
    for _ in 0..MOST_BEGINNINGS {
        let waiting = scene.jobs.job("t", &job.id).unwrap();
        assert_eq!(waiting.state, JobState::Waiting);
        // The process ends while the job runs.
        scene.jobs.next().await;
        scene = scene.restart().await;
    }
    let given_up = scene.jobs.job("t", &job.id).unwrap();
    assert_eq!(given_up.state, JobState::Failed);
    let error = given_up.documents[0].error.as_deref().unwrap();
    let times = format!("ended {MOST_BEGINNINGS} times");
    assert!(error.contains(&times), "{error}");
    assert_eq!(scene.files(), 1, "it can be tried again");
    let scene = scene.restart().await;
    assert_eq!(scene.jobs.job("t", &job.id).unwrap(), given_up);
    scene.jobs.retry("t", &job.id).unwrap();
    let job = scene.work_until_end(&job).await;
    assert_eq!((job.state, job.beginnings), (JobState::Done, 0));
}

#[test]
fn descriptions_without_a_count_of_beginnings_are_read() {
    let text = r#"{"id": "job_1", "tenant": "t", "state": "waiting", "created_ms": 1, "ended_ms": null, "documents": []}"#;
    let job: Job = serde_json::from_str(text).unwrap();
    assert_eq!(job.beginnings, 0);
}

#[tokio::test]
async fn jobs_are_cancelled_before_and_while_they_run() {
    let scene = Scene::new().await;
    let first = scene.submit("t", &[("a.txt", &long("puffins", 4000))]);
    let second = scene.submit("t", &[("b.txt", "Never.")]);
    assert!(scene.jobs.cancel("u", &second.id).is_err());
    let cancelled = scene.jobs.cancel("t", &second.id).unwrap();
    assert_eq!(cancelled.state, JobState::Cancelled);
    assert!(matches!(
        scene.jobs.cancel("t", &second.id),
        Err(JobError::Ended)
    ));
    let mut changes = scene.jobs.changes();
    let cancel = async {
        loop {
            changes.borrow_and_update();
            let job = scene.jobs.job("t", &first.id).unwrap();
            if job.passages().1 > 100 {
                return scene.jobs.cancel("t", &first.id).unwrap();
            }
            changes.changed().await.unwrap();
        }
    };
    let (ended, _) = tokio::join!(scene.work_until_end(&first), cancel);
    assert_eq!(ended.state, JobState::Cancelled);
    assert_eq!((scene.library.passages(), scene.files()), (0, 0));
    let scene = scene.restart().await;
    assert!(
        scene
            .jobs
            .list("t")
            .iter()
            .all(|job| job.state == JobState::Cancelled)
    );
}

#[tokio::test]
async fn what_the_embedder_broke_can_be_tried_again() {
    let scene = Scene::new().await;
    scene.fake.fail_after(Some(0));
    let job = scene.submit("t", &[("a.txt", "Words."), ("b.txt", "")]);
    let job = scene.work_until_end(&job).await;
    assert_eq!(job.state, JobState::Failed);
    let error = job.documents[0].error.as_deref().unwrap();
    assert!(error.contains("wick pull fake"), "{error}");
    assert_eq!(
        scene.files(),
        2,
        "files of what can be tried again are kept"
    );
    let scene = scene.restart().await;
    scene.fake.fail_after(None);
    let job = scene.jobs.retry("t", &job.id).unwrap();
    assert_eq!(job.state, JobState::Waiting);
    let job = scene.work_until_end(&job).await;
    let states: Vec<_> = job
        .documents
        .iter()
        .map(|document| document.state)
        .collect();
    assert_eq!(
        states,
        [JobState::Done, JobState::Failed],
        "an empty file stays one"
    );
    assert_eq!((scene.library.passages(), scene.files()), (1, 0));
}

#[tokio::test]
async fn an_embedder_that_is_busy_is_asked_again() {
    let fake = Fake {
        passes: true,
        ..Fake::new("fake", 64)
    };
    let scene = Scene::with(Arc::new(fake)).await;
    scene.fake.fail_after(Some(0));
    let job = scene.submit("t", &[("a.txt", "Words.")]);
    let job = scene.work_until_end(&job).await;
    assert_eq!(job.state, JobState::Done);
}

#[tokio::test]
async fn the_queue_is_bounded_for_each_tenant_and_for_all() {
    let scene = Scene::new().await;
    for _ in 0..QUEUE_OF_TENANT {
        scene.submit("t", &[("a.txt", "x")]);
    }
    assert!(matches!(
        scene.jobs.begin("t").err(),
        Some(JobError::QueueFull)
    ));
    for n in 0..QUEUE - QUEUE_OF_TENANT {
        scene.submit(&format!("tenant {n}"), &[("a.txt", "x")]);
    }
    assert!(matches!(
        scene.jobs.begin("new").err(),
        Some(JobError::QueueFull)
    ));
}

#[tokio::test]
async fn what_was_not_submitted_leaves_nothing() {
    let scene = Scene::new().await;
    let mut incoming = scene.jobs.begin("t").unwrap();
    incoming.file(IncomingFile::default()).unwrap();
    incoming.write(b"half a").unwrap();
    assert_eq!(scene.files(), 1);
    drop(incoming);
    assert_eq!(scene.files(), 0);
    // A process that ended meanwhile could not clean up.
    let mut incoming = scene.jobs.begin("t").unwrap();
    incoming.file(IncomingFile::default()).unwrap();
    std::mem::forget(incoming);
    let scene = scene.restart().await;
    assert_eq!((scene.files(), scene.jobs.list("t").len()), (0, 0));
}
