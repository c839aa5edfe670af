-- Keeps the rows with an even id and numbers them: even_ids.py as a script.
-- Paths are those of even-ids-sql.yaml; a script has no arguments.

SET 'table.exec.mini-batch.enabled' = 'false';  -- settings of the job go before everything else

CREATE TABLE numbers (
    `id` BIGINT,
    `value` STRING,
    `at` AS PROCTIME()
) WITH (
    'connector' = 'filesystem',
    'path' = '/srv/weir/in',
    'format' = 'json',
    'source.monitor-interval' = '500 ms'
);

CREATE TABLE evens (
    `id` BIGINT,
    `value` STRING,
    `count` BIGINT
) WITH (
    'connector' = 'filesystem',
    'path' = '/srv/weir/out',
    'format' = 'json',
    'sink.rolling-policy.rollover-interval' = '1 s',
    'sink.rolling-policy.inactivity-interval' = '1 s',
    'sink.rolling-policy.check-interval' = '500 ms'
);

CREATE TABLE dropped (
    `id` BIGINT
) WITH (
    'connector' = 'blackhole'
);

CREATE VIEW even_numbers AS SELECT * FROM numbers WHERE MOD(`id`, 2) = 0;

/* One Flink job for both: the source is read once. */
EXECUTE STATEMENT SET BEGIN
    INSERT INTO evens
    SELECT `id`, `value`, COUNT(*) OVER (ORDER BY `at` ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)
    FROM even_numbers;

    INSERT INTO dropped SELECT `id` FROM numbers WHERE MOD(`id`, 2) <> 0;
END;
