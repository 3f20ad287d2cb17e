//! The store on disk: what is listed, resolved, copied, deleted and pruned.

use std::collections::BTreeSet;

use std::fs::File;

use super::*;

/// A store in a folder of its own, with helpers that put models into it.
pub(super) struct Scratch {
    pub(super) store: Store,
    folder: tempfile::TempDir,
}

impl Scratch {
    pub(super) fn new() -> Scratch {
        let folder = tempfile::tempdir().unwrap();
        Scratch {
            store: Store::open(folder.path()).unwrap(),
            folder,
        }
    }

    /// Another handle on the same folder, as after a restart.
    pub(super) fn reopened(&self) -> Store {
        Store::open(self.folder.path()).unwrap()
    }

    pub(super) fn layer(&self, media_type: &str, bytes: &[u8]) -> Layer {
        let blob = self.store.put_blob(bytes).unwrap();
        Layer {
            media_type: media_type.to_owned(),
            digest: blob.digest,
            size: blob.size_bytes,
            from: None,
            name: None,
        }
    }

    /// A model of these layers, with a small config.
    pub(super) fn model(&self, name: &str, layers: &[(&str, &[u8])]) -> Manifest {
        let config = self.layer(media_type::CONFIG, &Config::new().to_bytes());
        let layers = layers
            .iter()
            .map(|(kind, bytes)| self.layer(kind, bytes))
            .collect();
        let manifest = Manifest::new(config, layers);
        let replaced = self
            .store
            .put_manifest(&name.parse().unwrap(), &manifest.to_bytes())
            .unwrap();
        self.store.free_replaced(replaced).unwrap();
        manifest
    }

    pub(super) fn blob_files(&self) -> BTreeSet<String> {
        file_names(&self.store.blobs_folder())
    }
}

pub(super) fn file_names(folder: &Path) -> BTreeSet<String> {
    let name = |path: PathBuf| path.file_name().unwrap().to_str().unwrap().to_owned();
    entries(folder).unwrap().into_iter().map(name).collect()
}

fn name(text: &str) -> ModelName {
    text.parse().unwrap()
}

#[test]
fn a_model_is_read_back_with_all_its_layers() {
    let scratch = Scratch::new();
    let manifest = scratch.model(
        "me/m:tag",
        &[
            (media_type::MODEL, b"GGUF"),
            (media_type::PROJECTOR, b"proj"),
            (media_type::TEMPLATE, b"{{ .Prompt }}"),
            (media_type::SYSTEM, b"be kind"),
            (media_type::PARAMS, br#"{"stop":["x"],"num_ctx":4096} "#),
            (media_type::MESSAGES, br#"[{"role":"user","content":"hi"}]"#),
            (media_type::LICENSE, b"MIT"),
            (media_type::LICENSE, b"BSD"),
            ("application/vnd.ollama.image.embed", b"old"),
        ],
    );
    let model = scratch.store.load(&name("me/m:tag")).unwrap();
    let file = scratch
        .store
        .root()
        .join("manifests/registry.ollama.ai/me/m/tag");
    assert_eq!(model.digest, Digest::of(&fs::read(file).unwrap()).hex());
    assert_eq!(model.size_bytes, manifest.size_bytes());
    assert_eq!(model.config.os, "linux");
    assert_eq!(fs::read(model.model_path.unwrap()).unwrap(), b"GGUF");
    assert_eq!(model.projector_paths.len(), 1);
    assert_eq!(model.template.as_deref(), Some("{{ .Prompt }}"));
    assert_eq!(model.system.as_deref(), Some("be kind"));
    assert_eq!(model.params["num_ctx"], 4096);
    assert_eq!(
        model.messages,
        [Message {
            role: "user".into(),
            content: "hi".into()
        }]
    );
    assert_eq!(model.licenses, ["MIT", "BSD"]);
}

#[test]
fn listings_skip_what_is_damaged_and_start_with_the_latest() {
    let scratch = Scratch::new();
    for (index, text) in ["old", "newer", "newest"].iter().enumerate() {
        scratch.model(text, &[(media_type::SYSTEM, text.as_bytes())]);
        let file = File::open(scratch.store.manifest_file(&name(text))).unwrap();
        file.set_modified(SystemTime::now() + Duration::from_secs(index as u64))
            .unwrap();
    }
    let folder = scratch.store.manifest_file(&name("bad"));
    fs::create_dir_all(folder.parent().unwrap()).unwrap();
    fs::write(&folder, "no json").unwrap();
    fs::write(folder.with_file_name(".hidden"), "{}").unwrap();
    let system = scratch.layer(media_type::SYSTEM, b"gone");
    fs::write(
        folder.with_file_name("lost"),
        Manifest::new(system.clone(), vec![system.clone()]).to_bytes(),
    )
    .unwrap();
    fs::remove_file(scratch.store.blob_path(&system.digest)).unwrap();

    let listed: Vec<String> = scratch
        .store
        .models()
        .unwrap()
        .iter()
        .map(|model| model.name.to_string())
        .collect();
    assert_eq!(listed, ["newest:latest", "newer:latest", "old:latest"]);
    assert!(matches!(
        scratch.store.load(&name("bad")),
        Err(StoreError::CorruptManifest { .. })
    ));
    assert!(matches!(
        scratch.store.load(&name("bad:lost")),
        Err(StoreError::BlobNotFound(_))
    ));
    assert_eq!(
        scratch.store.load(&name("none")).unwrap_err().to_string(),
        "model 'none:latest' not found"
    );
}

#[test]
fn names_are_the_same_whatever_their_case() {
    let scratch = Scratch::new();
    scratch.model("Me/Llama:Q4", &[(media_type::SYSTEM, b"x")]);
    let resolved = scratch.store.resolve(&name("me/llama:q4")).unwrap();
    assert_eq!(resolved.to_string(), "Me/Llama:Q4");
    assert_eq!(
        scratch.store.resolve(&name("other")).unwrap(),
        name("other")
    );
}

#[test]
fn copies_share_blobs_which_go_with_the_last_name() {
    let scratch = Scratch::new();
    scratch.model("a", &[(media_type::SYSTEM, b"shared")]);
    scratch.store.copy(&name("a"), &name("x/b:c")).unwrap();
    let (a, b) = (
        scratch.store.load(&name("a")).unwrap(),
        scratch.store.load(&name("x/b:c")).unwrap(),
    );
    assert_eq!(a.digest, b.digest);
    let blobs = scratch.blob_files();

    scratch.store.delete(&name("a")).unwrap();
    assert_eq!(scratch.blob_files(), blobs);
    scratch.store.delete(&name("x/b:c")).unwrap();
    assert_eq!(scratch.blob_files(), BTreeSet::new());
    assert_eq!(
        file_names(&scratch.store.manifests_folder()),
        BTreeSet::new()
    );
    assert!(matches!(
        scratch.store.delete(&name("a")),
        Err(StoreError::NotFound(_))
    ));
    assert!(matches!(
        scratch.store.copy(&name("a"), &name("b")),
        Err(StoreError::NotFound(_))
    ));
}

#[test]
fn a_digest_that_a_manifest_names_twice_is_deleted_once() {
    let scratch = Scratch::new();
    scratch.model(
        "a",
        &[
            (media_type::SYSTEM, b"same"),
            (media_type::LICENSE, b"same"),
        ],
    );
    scratch.store.delete(&name("a")).unwrap();
    assert_eq!(scratch.blob_files(), BTreeSet::new());
}

#[test]
fn pinned_blobs_outlive_their_manifest() {
    let scratch = Scratch::new();
    let manifest = scratch.model("a", &[(media_type::SYSTEM, b"base")]);
    let pins = scratch.store.pin([manifest.layers[0].digest]);
    scratch.store.delete(&name("a")).unwrap();
    assert_eq!(scratch.blob_files().len(), 1);
    drop(pins);
    assert!(scratch.store.pinned().is_empty());
}

#[test]
fn a_damaged_manifest_can_be_deleted() {
    let scratch = Scratch::new();
    scratch.model("a", &[(media_type::SYSTEM, b"x")]);
    fs::write(scratch.store.manifest_file(&name("a")), "junk").unwrap();
    scratch.store.delete(&name("a")).unwrap();
    assert!(scratch.store.names().unwrap().is_empty());
}

#[test]
fn manifests_that_name_missing_blobs_are_not_written() {
    let scratch = Scratch::new();
    let old = scratch.model("a", &[(media_type::SYSTEM, b"old")]);
    let mut new = old.clone();
    new.layers[0].digest = Digest::of(b"never written");
    let error = scratch.store.put_manifest(&name("a"), &new.to_bytes());
    assert!(matches!(error, Err(StoreError::BlobNotFound(_))));
    assert_eq!(scratch.store.load(&name("a")).unwrap().manifest, old);
}

#[test]
fn replacing_a_model_frees_what_only_the_old_one_named() {
    let scratch = Scratch::new();
    scratch.model(
        "a",
        &[
            (media_type::MODEL, b"weights"),
            (media_type::SYSTEM, b"old"),
        ],
    );
    scratch.model(
        "a",
        &[
            (media_type::MODEL, b"weights"),
            (media_type::SYSTEM, b"new"),
        ],
    );
    assert!(!scratch.store.has_blob(&Digest::of(b"old")));
    assert!(scratch.store.has_blob(&Digest::of(b"weights")));
}

#[test]
fn blobs_are_whole_or_absent() {
    let scratch = Scratch::new();
    let mut writer = scratch.store.blob_writer().unwrap();
    writer.write(b"half").unwrap();
    assert_eq!(scratch.blob_files().len(), 1, "the temporary file");
    drop(writer);
    assert_eq!(scratch.blob_files(), BTreeSet::new());

    let mut writer = scratch.store.blob_writer().unwrap();
    writer.write(b"abc").unwrap();
    let want = Digest::of(b"other");
    let error = writer.finish(Some(&want)).unwrap_err().to_string();
    assert_eq!(
        error,
        format!(
            "digest mismatch, expected \"{want}\", got \"{}\"",
            Digest::of(b"abc")
        )
    );
    assert_eq!(scratch.blob_files(), BTreeSet::new());

    let first = scratch.store.put_blob(b"abc").unwrap();
    assert_eq!(
        (first.digest, first.size_bytes, first.existed),
        (Digest::of(b"abc"), 3, false)
    );
    assert!(scratch.store.put_blob(b"abc").unwrap().existed);
    assert_eq!(
        scratch.blob_files(),
        BTreeSet::from([Digest::of(b"abc").file_name()])
    );
}

#[test]
fn start_up_renames_legacy_blobs_and_prunes_old_orphans() {
    let scratch = Scratch::new();
    let kept = scratch.model("a", &[(media_type::SYSTEM, b"kept")]);
    let folder = scratch.store.blobs_folder();
    let old = SystemTime::now() - Duration::from_secs(3601);
    let write = |file: &str, modified: SystemTime| {
        fs::write(folder.join(file), b"x").unwrap();
        File::open(folder.join(file))
            .unwrap()
            .set_modified(modified)
            .unwrap();
    };
    let orphan = Digest::of(b"orphan").file_name();
    write(&orphan, old);
    write("sha256-123456", old);
    write(&format!("{orphan}-partial"), old);
    let young = Digest::of(b"young").file_name();
    write(&young, SystemTime::now());
    write(&format!("{young}-partial-0"), SystemTime::now());
    let legacy = Digest::of(b"legacy").file_name();
    write(&legacy.replace('-', ":"), SystemTime::now());
    for layer in kept.blobs() {
        File::open(scratch.store.blob_path(&layer.digest))
            .unwrap()
            .set_modified(old)
            .unwrap();
    }
    fs::create_dir_all(scratch.store.manifests_folder().join("h/n/m")).unwrap();

    let keeping = Store::open_with(scratch.store.root(), true).unwrap();
    keeping.clean_up().unwrap();
    assert!(folder.join(&orphan).exists() && folder.join(&legacy).exists());

    let bad = scratch.store.manifest_file(&name("bad"));
    fs::create_dir_all(bad.parent().unwrap()).unwrap();
    fs::write(&bad, "junk").unwrap();
    scratch.store.clean_up().unwrap();
    assert!(
        folder.join(&orphan).exists(),
        "nothing is pruned while a manifest is unreadable"
    );
    fs::remove_file(&bad).unwrap();

    scratch.store.clean_up().unwrap();
    let mut want: BTreeSet<String> = kept.blobs().map(|layer| layer.digest.file_name()).collect();
    want.extend([young.clone(), format!("{young}-partial-0"), legacy]);
    assert_eq!(scratch.blob_files(), want);
    assert_eq!(
        file_names(&scratch.store.manifests_folder()),
        BTreeSet::from(["registry.ollama.ai".to_owned()])
    );
}

#[test]
fn a_deleted_model_is_freed_even_if_unused_blobs_are_kept() {
    let scratch = Scratch::new();
    let keeping = Store::open_with(scratch.store.root(), true).unwrap();
    let old = scratch.model("a", &[(media_type::SYSTEM, b"old")]);
    let new = Manifest::new(
        old.config.clone().unwrap(),
        vec![scratch.layer(media_type::SYSTEM, b"new")],
    );
    let replaced = keeping.put_manifest(&name("a"), &new.to_bytes()).unwrap();
    keeping.free_replaced(replaced).unwrap();
    assert_eq!(scratch.blob_files().len(), 3, "nothing is freed by a pull");

    keeping.delete(&name("a")).unwrap();
    assert_eq!(
        scratch.blob_files(),
        BTreeSet::from([Digest::of(b"old").file_name()])
    );
}

#[test]
fn the_files_of_a_download_grow_old_together() {
    let scratch = Scratch::new();
    let folder = scratch.store.blobs_folder();
    let write = |file: &str, age_s: u64| {
        let path = folder.join(file);
        fs::write(&path, b"x").unwrap();
        let modified = SystemTime::now() - Duration::from_secs(age_s);
        File::open(&path).unwrap().set_modified(modified).unwrap();
    };
    let running = Digest::of(b"running").file_name();
    write(&format!("{running}-partial"), 60);
    write(&format!("{running}-partial-0"), 10_000);
    write(&format!("{running}-partial-12"), 4000);
    write(&format!("{running}-partial-x"), 4000);
    let given_up = Digest::of(b"given up").file_name();
    write(&format!("{given_up}-partial"), 4000);
    write(&format!("{given_up}-partial-0"), 10_000);

    scratch.store.clean_up().unwrap();
    let parts = ["", "-0", "-12"];
    let want = parts.map(|part| format!("{running}-partial{part}"));
    assert_eq!(scratch.blob_files(), BTreeSet::from(want));
}

#[test]
fn manifests_are_written_without_the_blobs_folder_and_leave_nothing_behind() {
    let scratch = Scratch::new();
    scratch.model("a", &[(media_type::SYSTEM, b"x")]);
    fs::remove_dir_all(scratch.store.blobs_folder()).unwrap();
    scratch.store.copy(&name("a"), &name("b")).unwrap();
    assert_eq!(scratch.store.names().unwrap().len(), 2);
    assert_eq!(
        file_names(&scratch.store.manifests_folder()),
        BTreeSet::from(["registry.ollama.ai".to_owned()])
    );
}

#[test]
fn old_temporary_manifests_are_removed_and_never_listed() {
    let scratch = Scratch::new();
    scratch.model("a", &[(media_type::SYSTEM, b"x")]);
    let folder = scratch.store.manifests_folder();
    let old = folder.join(".manifest-old");
    for path in [&old, &folder.join(".manifest-young")] {
        fs::write(path, b"half").unwrap();
    }
    let modified = SystemTime::now() - Duration::from_secs(3601);
    File::open(&old).unwrap().set_modified(modified).unwrap();
    assert_eq!(scratch.store.names().unwrap(), [name("a")]);
    scratch.store.clean_up().unwrap();
    assert_eq!(
        file_names(&folder),
        BTreeSet::from([
            ".manifest-young".to_owned(),
            "registry.ollama.ai".to_owned()
        ])
    );
}

#[test]
fn huge_text_layers_and_manifests_are_refused_unread() {
    let scratch = Scratch::new();
    let manifest = scratch.model("a", &[(media_type::SYSTEM, b"x")]);
    let blob = scratch.store.blob_path(&manifest.layers[0].digest);
    fs::OpenOptions::new()
        .write(true)
        .open(&blob)
        .unwrap()
        .set_len(1 << 40)
        .unwrap();
    assert!(matches!(
        scratch.store.load(&name("a")),
        Err(StoreError::CorruptManifest { .. })
    ));
    let file = scratch.store.manifest_file(&name("a"));
    fs::OpenOptions::new()
        .write(true)
        .open(&file)
        .unwrap()
        .set_len(1 << 40)
        .unwrap();
    assert!(matches!(
        scratch.store.load(&name("a")),
        Err(StoreError::CorruptManifest { .. })
    ));
}

#[test]
fn progress_lines_leave_out_what_they_do_not_have() {
    let json = |progress: &Progress| serde_json::to_string(progress).unwrap();
    assert_eq!(
        json(&Progress::status("success")),
        r#"{"status":"success"}"#
    );
    let line = Progress::bytes("pulling x".into(), "sha256:x".into(), 10, 0);
    assert_eq!(
        json(&line),
        r#"{"status":"pulling x","digest":"sha256:x","total":10}"#
    );
}

#[test]
fn a_full_disk_is_told_from_other_failures() {
    let path = Path::new("/models/blobs/x");
    let full = StoreError::io("write", path, io::Error::from_raw_os_error(28));
    assert_eq!(full.to_string(), "no space left on device: /models/blobs/x");
    let other = StoreError::io("write", path, io::Error::from_raw_os_error(13));
    assert_eq!(other.to_string(), "cannot write /models/blobs/x");
}
