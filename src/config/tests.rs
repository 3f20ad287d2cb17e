use std::collections::HashMap;

use super::*;

fn from(variables: &[(&str, &str)]) -> Result<Config, ConfigError> {
    with(Flags::default(), variables)
}

fn with(flags: Flags, variables: &[(&str, &str)]) -> Result<Config, ConfigError> {
    let map: HashMap<&str, &str> = variables.iter().copied().collect();
    load(flags, |name| map.get(name).map(|value| (*value).to_owned()))
}

#[test]
fn an_empty_environment_gives_the_documented_defaults() {
    let config = from(&[("HOME", "/home/u")]).unwrap();
    assert_eq!(config.listen.to_string(), "127.0.0.1:11434");
    assert_eq!(config.host.to_string(), "http://127.0.0.1:11434");
    assert_eq!(config.models_dir, PathBuf::from("/home/u/.ollama/models"));
    assert_eq!(config.state_dir, Some(PathBuf::from("/home/u/.ollama")));
    assert_eq!(config.keep_alive, KeepAlive::For(Duration::from_secs(300)));
    assert_eq!(config.load_timeout, Some(Duration::from_secs(300)));
    assert_eq!(
        (
            config.num_parallel,
            config.max_loaded_models,
            config.max_queue
        ),
        (None, 3, 512)
    );
    assert_eq!(
        (config.context_tokens, config.go_template, config.threads),
        (None, None, None)
    );
    assert_eq!((config.no_prune, config.log_level), (false, LogLevel::Info));
    assert_eq!((config.isa, config.memory_limit), (None, None));
    assert!(config.origins.is_empty());
}

#[test]
fn values_lose_spaces_and_quotes() {
    let config = from(&[
        ("OLLAMA_MODELS", " '/data/models' "),
        ("OLLAMA_NUM_PARALLEL", "\"4\""),
    ]);
    let config = config.unwrap();
    assert_eq!(config.models_dir, PathBuf::from("/data/models"));
    assert_eq!(config.num_parallel, Some(4));
}

#[test]
fn booleans_follow_go_and_any_other_text_is_true() {
    for (text, value) in [
        ("1", true),
        ("T", true),
        ("0", false),
        ("False", false),
        ("yes", true),
    ] {
        assert_eq!(
            from(&[("OLLAMA_NOPRUNE", text)]).unwrap().no_prune,
            value,
            "{text}"
        );
        assert_eq!(
            from(&[("OLLAMA_GO_TEMPLATE", text)]).unwrap().go_template,
            Some(value)
        );
    }
    assert!(!from(&[("OLLAMA_NOPRUNE", "")]).unwrap().no_prune);
}

#[test]
fn keep_alive_is_a_duration_or_seconds() {
    let minutes = |n: u64| KeepAlive::For(Duration::from_secs(n * 60));
    for (text, value) in [
        ("10m", minutes(10)),
        ("60", minutes(1)),
        ("0", minutes(0)),
        ("-1", KeepAlive::Forever),
        ("-1m", KeepAlive::Forever),
        ("soon", minutes(5)),
    ] {
        assert_eq!(
            from(&[("OLLAMA_KEEP_ALIVE", text)]).unwrap().keep_alive,
            value,
            "{text}"
        );
    }
}

#[test]
fn a_load_timeout_of_zero_or_less_is_none() {
    for (text, value) in [
        ("10s", Some(10)),
        ("0", None),
        ("-5", None),
        ("soon", Some(300)),
    ] {
        let config = from(&[("OLLAMA_LOAD_TIMEOUT", text)]).unwrap();
        assert_eq!(
            config.load_timeout,
            value.map(Duration::from_secs),
            "{text}"
        );
    }
}

#[test]
fn bad_values_of_ollama_variables_become_the_default() {
    let config = from(&[
        ("OLLAMA_NUM_PARALLEL", "many"),
        ("OLLAMA_MAX_QUEUE", "-1"),
        ("OLLAMA_MAX_LOADED_MODELS", "1.5"),
        ("OLLAMA_CONTEXT_LENGTH", "4k"),
        ("OLLAMA_KV_CACHE_TYPE", "q4_0"),
    ])
    .unwrap();
    assert_eq!(
        (
            config.num_parallel,
            config.max_loaded_models,
            config.max_queue
        ),
        (None, 3, 512)
    );
    assert_eq!(
        (config.context_tokens, config.kv_cache_type),
        (None, KvType::F16)
    );
}

#[test]
fn good_values_are_taken() {
    let config = from(&[
        ("OLLAMA_ORIGINS", "https://a.test, http://b.test:*,"),
        ("OLLAMA_CONTEXT_LENGTH", "8192"),
        ("OLLAMA_KV_CACHE_TYPE", "Q8_0"),
        ("OLLAMA_DEBUG", "2"),
        ("VISUAL", "vi"),
        ("WICK_THREADS", "3"),
        ("WICK_ISA", "avx2"),
        ("WICK_MEMORY_LIMIT", "1000000"),
    ])
    .unwrap();
    assert_eq!(config.origins, ["https://a.test", "http://b.test:*"]);
    assert_eq!(
        (config.context_tokens, config.kv_cache_type),
        (Some(8192), KvType::Q8_0)
    );
    assert_eq!(
        (config.log_level, config.editor.as_deref()),
        (LogLevel::Trace, Some("vi"))
    );
    assert_eq!(
        (config.threads, config.memory_limit),
        (Some(3), Some(1_000_000))
    );
    assert_eq!(config.isa.as_deref(), Some("avx2"));
}

#[test]
fn bad_values_of_our_own_variables_stop_the_start_by_name() {
    for (name, value) in [
        ("WICK_THREADS", "0"),
        ("WICK_THREADS", "two"),
        ("WICK_ISA", "sse"),
        ("WICK_MEMORY_LIMIT", "8GB"),
    ] {
        let message = from(&[(name, value)]).unwrap_err().to_string();
        assert!(
            message.contains(name) && message.contains(value),
            "{message}"
        );
    }
}

#[test]
fn the_listen_flag_goes_before_the_environment() {
    let flags = |text: &str| Flags {
        serving: true,
        listen: Some(text.to_owned()),
    };
    let env = [("OLLAMA_HOST", "1.2.3.4:5"), ("HOME", "/h")];
    assert_eq!(
        with(flags("127.0.0.1:0"), &env).unwrap().listen.to_string(),
        "127.0.0.1:0"
    );
    let message = with(flags("127.0.0.1:x"), &env).unwrap_err().to_string();
    assert_eq!(
        message,
        "invalid value \"127.0.0.1:x\" for --listen: expected HOST:PORT"
    );
}

#[test]
fn a_server_needs_a_folder_and_a_client_does_not() {
    let serving = Flags {
        serving: true,
        listen: None,
    };
    assert_eq!(with(serving, &[]).unwrap_err(), ConfigError::NoModelsDir);
    assert!(from(&[]).is_ok());
}

#[test]
fn access_has_its_own_settings() {
    let config = from(&[
        ("HOME", "/h"),
        ("WICK_JWT_SECRET", "0123456789abcdef0123456789abcdef"),
        ("WICK_JWT_ISSUER", "https://a.test, https://b.test"),
        ("WICK_JWT_TENANT_CLAIM", "org"),
        ("WICK_JWT_JWKS", "https://a.test/keys"),
        ("WICK_LIMIT_CODE", "7"),
        ("WICK_PROTECT_ALL", "1"),
        ("WICK_ORIGINS", "https://app.test"),
    ]);
    let config = config.unwrap();
    let access = config.access;
    assert_eq!(access.keys_file, Some(PathBuf::from("/h/.wick/keys.json")));
    assert_eq!(access.issuers, ["https://a.test", "https://b.test"]);
    assert_eq!(access.tenant_claim.as_deref(), Some("org"));
    assert_eq!((access.limits.code, access.limits.sql), (7, 200));
    assert!(access.jwt_secret.is_some() && access.jwks.is_some());
    assert!(config.protect_all);
    assert_eq!(config.assist_origins, ["https://app.test"]);
}

#[test]
fn weak_secrets_and_keys_from_afar_stop_the_start() {
    let error = from(&[("WICK_JWT_SECRET", "hush-hush")]).unwrap_err();
    let message = error.to_string();
    assert!(message.contains("WICK_JWT_SECRET has 9 bytes"), "{message}");
    assert!(!message.contains("hush"), "{message}");
    for (name, value) in [
        ("WICK_JWT_JWKS", "http://issuer.test/keys"),
        ("WICK_JWT_JWKS", "ftp://127.0.0.1/keys"),
        ("WICK_LIMIT_SQL", "-1"),
    ] {
        let message = from(&[(name, value)]).unwrap_err().to_string();
        assert!(
            message.contains(name) && message.contains(value),
            "{message}"
        );
    }
    let local = from(&[("WICK_JWT_JWKS", "http://127.0.0.1:8080/keys")]).unwrap();
    assert!(local.access.jwks.is_some());
}

#[test]
fn the_coachs_history_is_kept_only_where_it_is_asked_for_and_can_be() {
    let history = |value: &str| {
        let config = from(&[("HOME", "/home/u"), ("WICK_COACH_HISTORY", value)]);
        config.map(|config| config.coach_history)
    };
    assert!(!from(&[("HOME", "/home/u")]).unwrap().coach_history);
    assert_eq!(
        (history("on"), history("ON"), history("1")),
        (Ok(true), Ok(true), Ok(true))
    );
    assert_eq!((history("off"), history("false")), (Ok(false), Ok(false)));
    let error = history("maybe").unwrap_err().to_string();
    assert!(error.contains("expected on or off"), "{error}");
    let nowhere = from(&[("WICK_COACH_HISTORY", "on")])
        .unwrap_err()
        .to_string();
    assert!(nowhere.contains("set WICK_DATA"), "{nowhere}");
}

#[test]
fn hosts_of_databases_are_a_list_or_stop_the_start() {
    let config = from(&[
        ("HOME", "/h"),
        ("WICK_DATABASE_HOSTS", "public, 10.0.0.0/8"),
    ])
    .unwrap();
    assert_eq!(config.sql.database_hosts, "public,10.0.0.0/8".parse().ok());
    assert_eq!(from(&[("HOME", "/h")]).unwrap().sql.database_hosts, None);
    let error = from(&[("HOME", "/h"), ("WICK_DATABASE_HOSTS", "10.0.0.0/99")]).unwrap_err();
    assert!(error.to_string().contains("WICK_DATABASE_HOSTS"), "{error}");
}
