//! Functions that compute a value from their arguments and do nothing else.

use crate::sql::Dialect;

/// Known in every dialect, or harmless where they are not.
const COMMON: &str = " abs acos age any_value array_agg array_length array_to_string ascii asin atan atan2 avg \
    bit_and bit_length bit_or bool_and bool_or btrim cardinality cast cbrt ceil ceiling char_length \
    character_length chr coalesce concat concat_ws convert corr cos cosh cot count count_if countif \
    covar_pop covar_samp cume_dist current_date current_time current_timestamp date date_add date_diff \
    date_part date_sub date_trunc datediff datepart datetime day dayname dayofmonth dayofweek dayofyear \
    decode degrees dense_rank div every exp extract first_value floor format from_unixtime generate_series \
    greatest group_concat grouping hour if ifnull iif initcap instr isnull isodow json_agg json_array \
    json_array_length json_each json_extract json_object json_object_agg json_type json_value jsonb_agg \
    jsonb_array_elements jsonb_array_elements_text jsonb_array_length jsonb_build_object jsonb_each \
    jsonb_extract_path jsonb_extract_path_text jsonb_typeof json_array_elements json_array_elements_text \
    json_build_object json_extract_path_text json_typeof julianday justify_days justify_hours \
    justify_interval lag last_day last_value lead least left length ln localtime localtimestamp locate log \
    log10 log2 lower lpad ltrim make_date make_interval make_time make_timestamp max md5 median microsecond \
    mid min minute mod mode month monthname nth_value ntile now nullif num_nonnulls num_nulls nvl \
    octet_length overlay percent_rank percentile_cont percentile_disc pi position pow power printf quarter \
    quote radians range rank regexp_count regexp_instr regexp_like regexp_matches regexp_replace \
    regexp_substr regexp_extract regr_slope regr_intercept regr_r2 repeat replace reverse right round \
    row_number row_to_json rpad rtrim sec_to_time second sign sin sinh sqrt split_part starts_with stddev \
    stddev_pop stddev_samp str_to_date strftime string_agg string_to_array strpos substr substring \
    sum tan tanh time time_to_sec timestamp timestamp_diff timestampdiff timestamp_add timestamp_sub \
    timestamp_trunc timezone to_char to_date to_days to_json to_jsonb to_number to_timestamp total translate \
    trim trunc truncate typeof ucase lcase unhex hex unicode unix_timestamp unixepoch unnest upper \
    var_pop var_samp variance week weekday weekofyear width_bucket year yearweek ";

const SQL_SERVER: &str = " choose concat_ws dateadd datediff datediff_big datefromparts datename datepart \
    datetrunc day eomonth format getdate getutcdate isdate isnull isnumeric len month newid patindex \
    quotename replicate space square str string_agg string_split stuff sysdatetime sysutcdatetime \
    try_cast try_convert year ";

const BIG_QUERY: &str = " approx_count_distinct array_concat array_reverse current_datetime date_from_unix_date \
    datetime_add datetime_diff datetime_sub datetime_trunc farm_fingerprint format_date format_datetime \
    format_timestamp generate_array generate_date_array ieee_divide logical_and logical_or offset \
    ordinal parse_date parse_datetime parse_timestamp safe_cast safe_divide safe_offset split \
    timestamp_micros timestamp_millis timestamp_seconds to_hex unix_date unix_micros unix_millis unix_seconds ";

const DUCK_DB: &str = " arg_max arg_min contains epoch epoch_ms first last list list_aggregate list_contains \
    list_filter list_transform list_sort list_value len makedate quantile quantile_cont string_split strlen \
    struct_pack suffix prefix today try_cast ";

const MY_SQL: &str = " addtime adddate subdate curdate curtime date_format field find_in_set maketime \
    makedate period_diff rand regexp_substr sha1 sha2 strcmp subtime timediff timestampadd utc_date \
    utc_timestamp utc_time json_unquote json_contains json_length json_keys json_arrayagg json_objectagg space ";

const SQLITE: &str = " glob json_group_array json_group_object json_quote json_valid json_tree like max min \
    random soundex substr timediff total trunc unlikely likely likelihood ";

const POSTGRES: &str = " array_append array_cat array_position array_positions array_prepend array_remove \
    array_replace array_upper array_lower bit_count clock_timestamp date_bin enum_range enum_first \
    enum_last gcd lcm isfinite jsonb_object_keys json_object_keys jsonb_path_exists \
    jsonb_path_query jsonb_path_query_first jsonb_set jsonb_strip_nulls plainto_tsquery \
    phraseto_tsquery websearch_to_tsquery to_tsquery to_tsvector ts_rank ts_rank_cd ts_headline \
    similarity word_similarity regexp_split_to_array regexp_split_to_table scale min_scale sha256 \
    statement_timestamp transaction_timestamp string_to_table trim_array unaccent encode upper_inf lower_inf \
    isempty range_merge daterange int4range int8range numrange tsrange tstzrange to_hex random levenshtein \
    soundex metaphone trim_scale ";

/// Whether the function may be called.
pub(super) fn is_known(dialect: Dialect, name: &str) -> bool {
    let own = match dialect {
        Dialect::Postgres => POSTGRES,
        Dialect::MySql => MY_SQL,
        Dialect::Sqlite => SQLITE,
        Dialect::DuckDb => DUCK_DB,
        Dialect::MsSql => SQL_SERVER,
        Dialect::BigQuery => BIG_QUERY,
    };
    holds(COMMON, name) || holds(own, name)
}

/// How a function makes more of what it gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Growth {
    /// A text as long as this argument says.
    Length(usize),
    /// A text this argument's times as long.
    Times(usize),
    /// As many rows or elements as lie between its arguments.
    Series,
    /// A text by a pattern, its first argument, that can ask for any width.
    Pattern,
}

/// What a function makes of numbers in its arguments, if it is one that can make much.
pub(super) fn growth(dialect: Dialect, name: &str) -> Option<Growth> {
    // Elsewhere FORMAT takes a value first.
    let has_patterns = matches!(
        dialect,
        Dialect::Postgres | Dialect::Sqlite | Dialect::DuckDb | Dialect::BigQuery
    );
    match () {
        () if holds(" space ", name) => Some(Growth::Length(0)),
        () if holds(" lpad rpad ", name) => Some(Growth::Length(1)),
        () if holds(" repeat replicate ", name) => Some(Growth::Times(1)),
        () if holds(" generate_series generate_array range ", name) => Some(Growth::Series),
        () if has_patterns && holds(" format printf ", name) => Some(Growth::Pattern),
        () => None,
    }
}

/// Whether a function can make a text or a list longer than its arguments together.
pub(super) fn multiplies(name: &str) -> bool {
    holds(
        " repeat replicate replace regexp_replace format printf string_agg group_concat array_agg json_agg \
          jsonb_agg json_group_array json_group_object array_to_string array_replace ",
        name,
    )
}

/// Whether a function puts its arguments together.
pub(super) fn joins(name: &str) -> bool {
    holds(
        " concat concat_ws array_cat array_append array_prepend json_array json_object json_build_object \
          jsonb_build_object json_build_array jsonb_build_array overlay jsonb_set ",
        name,
    )
}

fn holds(list: &str, name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let is_word = name
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    is_word && list.contains(&format!(" {name} "))
}
