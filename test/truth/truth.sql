-- The truth of the built-in features (docs/ARCHITECTURE.md), from events alone.
--
-- In:  table events(type, driver, ride, rider, lat, lon, ts, status), whose rowid is the order of arrival, and the
--      variables cover, presence_ms, region, levels, windows (a list of {name, minutes}).
-- Out: truth_rows, one row per (level, key, window, start) in which anything is non-zero; truth_waits, every wait.
--
-- Everything is integer milliseconds and counts until the last statement; only its quotients are floating point.

CREATE OR REPLACE MACRO minute_of(t) AS (t - (t % 60000 + 60000) % 60000) // 60000;

-- ---------------------------------------------------------------------------------------------------------- place
-- Six characters are 15 bits each way. The borders (low + i * 45 / parts) are exact in a double and belong to the
-- half below, as in ngeohash; the estimate by division may be off by one at a border and is put right against it.

CREATE OR REPLACE MACRO border(low, parts, i) AS (low + i * 45 / parts);
CREATE OR REPLACE MACRO estimate(v, low, parts) AS
  greatest(0, least(32767, ceil((v - low) * parts / 45)::BIGINT - 1));
CREATE OR REPLACE MACRO settle(v, low, parts, i) AS
  CASE WHEN i > 0     AND v <= border(low, parts, i)     THEN i - 1
       WHEN i < 32767 AND v >  border(low, parts, i + 1) THEN i + 1
       ELSE i END;
CREATE OR REPLACE MACRO lon_index(lon) AS settle(lon, -180, 4096, estimate(lon, -180, 4096));
CREATE OR REPLACE MACRO lat_index(lat) AS settle(lat, -90, 8192, estimate(lat, -90, 8192));

-- Bit n of the geohash, counted from its first: even bits are longitude.
CREATE OR REPLACE MACRO hash_bit(x, y, n) AS
  ((CASE WHEN n % 2 = 0 THEN x ELSE y END) >> (14 - n // 2)) & 1;
CREATE OR REPLACE MACRO hash_char(x, y, c) AS
  substr('0123456789bcdefghjkmnpqrstuvwxyz',
         1 + 16 * hash_bit(x, y, 5 * c) + 8 * hash_bit(x, y, 5 * c + 1) + 4 * hash_bit(x, y, 5 * c + 2)
           + 2 * hash_bit(x, y, 5 * c + 3) + hash_bit(x, y, 5 * c + 4), 1);
CREATE OR REPLACE MACRO geohash6(x, y) AS
  hash_char(x, y, 0) || hash_char(x, y, 1) || hash_char(x, y, 2) ||
  hash_char(x, y, 3) || hash_char(x, y, 4) || hash_char(x, y, 5);

CREATE TABLE placed AS
  SELECT rowid AS arrival, type, driver, ride, rider, ts, status,
         CASE WHEN lat IS NOT NULL AND lon IS NOT NULL THEN lon_index(lon) END AS x,
         CASE WHEN lat IS NOT NULL AND lon IS NOT NULL THEN lat_index(lat) END AS y
  FROM events;

CREATE TABLE grid AS
  SELECT x, y, geohash6(x, y) AS cell,
         len(list_filter(getvariable('cover')::VARCHAR[], lambda p: starts_with(geohash6(x, y), p))) > 0 AS inside
  FROM (SELECT DISTINCT x, y FROM placed WHERE x IS NOT NULL);

-- Outside the cover: dropped before anything else. An event without a position stays; its ride places it.
CREATE TABLE kept AS
  SELECT placed.* EXCLUDE (x, y), cell FROM placed LEFT JOIN grid USING (x, y) WHERE x IS NULL OR inside;
DROP TABLE placed;

-- -------------------------------------------------------------------------------------------------------- drivers
CREATE TABLE pings AS
  SELECT driver, cell, status, ts,
         lag(status) OVER turn AS status_before,
         least(coalesce(lead(ts) OVER turn, ts + getvariable('presence_ms')), ts + getvariable('presence_ms')) AS until
  FROM kept WHERE type = 'driver.location' AND cell IS NOT NULL
  WINDOW turn AS (PARTITION BY driver ORDER BY ts, arrival);

-- Each ping's hold, cut at the minutes.
CREATE TABLE held AS
  SELECT driver, cell, status, minute,
         least(until, (minute + 1) * 60000) - greatest(ts, minute * 60000) AS ms,
         until >= (minute + 1) * 60000 AS to_the_end
  FROM (SELECT *, unnest(range(minute_of(ts), minute_of(until - 1) + 1)) AS minute
        FROM pings WHERE status <> 'offline' AND until > ts);

-- ---------------------------------------------------------------------------------------------------------- rides
-- A ride passes every state at most once, so its life is a chain of "the first such event after": no loop needed.
CREATE TABLE ride_events AS
  SELECT ride, rider, type, ts, cell, row_number() OVER (PARTITION BY ride ORDER BY ts, arrival) AS nth
  FROM kept WHERE type IN ('ride.requested', 'ride.accepted', 'ride.picked_up', 'ride.completed', 'ride.cancelled');

CREATE TABLE rides AS
  WITH asked AS (
    SELECT ride, min(nth) AS requested FROM ride_events WHERE type = 'ride.requested' GROUP BY ride
  ), first_answer AS (
    SELECT ride, any_value(requested) AS requested,
           min(nth) FILTER (WHERE type = 'ride.accepted') AS accepted,
           min(nth) FILTER (WHERE type = 'ride.cancelled') AS cancelled
    FROM asked LEFT JOIN ride_events USING (ride) WHERE nth >= requested GROUP BY ride
  ), answered AS (
    SELECT ride, requested,
           CASE WHEN cancelled IS NULL OR accepted < cancelled THEN accepted END AS accepted,
           CASE WHEN accepted IS NULL OR cancelled < accepted THEN cancelled END AS cancelled
    FROM first_answer
  ), first_meeting AS (
    SELECT ride, any_value(requested) AS requested, any_value(accepted) AS accepted, any_value(a.cancelled) AS early,
           min(nth) FILTER (WHERE type = 'ride.picked_up' AND nth > accepted) AS picked_up,
           min(nth) FILTER (WHERE type = 'ride.cancelled' AND nth > accepted) AS late
    FROM answered a LEFT JOIN ride_events e USING (ride) GROUP BY ride
  ), met AS (
    SELECT ride, requested, accepted,
           CASE WHEN late IS NULL OR picked_up < late THEN picked_up END AS picked_up,
           coalesce(early, CASE WHEN picked_up IS NULL OR late < picked_up THEN late END) AS cancelled
    FROM first_meeting
  )
  SELECT ride, any_value(requested) AS requested, any_value(accepted) AS accepted, any_value(picked_up) AS picked_up,
         any_value(cancelled) AS cancelled,
         min(nth) FILTER (WHERE type = 'ride.completed' AND nth > picked_up) AS completed
  FROM met LEFT JOIN ride_events USING (ride) GROUP BY ride;

-- The transitions that happened, each in its own place or else the last one known of the ride. A refused event
-- changes nothing, so it moves nobody either.
CREATE TABLE steps AS
  SELECT e.ride, e.rider, e.type, e.ts,
         coalesce(e.cell, last_value(e.cell IGNORE NULLS) OVER life) AS cell,
         e.ts - first_value(e.ts) OVER life AS since_request_ms
  FROM rides r JOIN ride_events e ON e.ride = r.ride
   AND e.nth IN (r.requested, r.accepted, r.picked_up, r.cancelled, r.completed)
  WINDOW life AS (PARTITION BY e.ride ORDER BY e.nth ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW);

-- -------------------------------------------------------------------------------------------------- cells' minutes
CREATE TABLE cell_panes AS
  WITH parts AS (
    SELECT cell, minute,
           sum(ms) FILTER (WHERE status = 'open') AS open_ms,
           sum(ms) FILTER (WHERE status = 'enroute') AS enroute_ms,
           sum(ms) FILTER (WHERE status = 'ontrip') AS busy_ms,
           count(*) FILTER (WHERE status = 'open' AND to_the_end) AS open_end
    FROM held GROUP BY ALL
    UNION ALL BY NAME
    SELECT cell, minute_of(ts) AS minute,
           count(*) FILTER (WHERE status = 'ontrip') AS pickups,
           count(*) FILTER (WHERE status = 'open') AS dropoffs
    FROM pings
    WHERE (status = 'ontrip' AND status_before <> 'ontrip') OR (status = 'open' AND status_before = 'ontrip')
    GROUP BY ALL
    UNION ALL BY NAME
    SELECT cell, minute_of(ts) AS minute,
           count(*) FILTER (WHERE type = 'ride.requested') AS requests,
           count(*) FILTER (WHERE type = 'ride.cancelled') AS cancels,
           count(*) FILTER (WHERE type = 'ride.completed') AS completes,
           count(*) FILTER (WHERE type = 'ride.picked_up') AS waits,
           sum(since_request_ms) FILTER (WHERE type = 'ride.picked_up') AS wait_ms
    FROM steps WHERE type <> 'ride.accepted' GROUP BY ALL
    UNION ALL BY NAME
    SELECT cell, minute_of(ts) AS minute, count(*) AS sessions
    FROM kept WHERE type = 'session.opened' AND cell IS NOT NULL GROUP BY ALL
  )
  SELECT cell, minute,
         coalesce(sum(open_ms), 0)::BIGINT AS open_ms, coalesce(sum(enroute_ms), 0)::BIGINT AS enroute_ms,
         coalesce(sum(busy_ms), 0)::BIGINT AS busy_ms, coalesce(sum(open_end), 0)::BIGINT AS open_end,
         coalesce(sum(pickups), 0)::BIGINT AS pickups, coalesce(sum(dropoffs), 0)::BIGINT AS dropoffs,
         coalesce(sum(requests), 0)::BIGINT AS requests, coalesce(sum(cancels), 0)::BIGINT AS cancels,
         coalesce(sum(completes), 0)::BIGINT AS completes, coalesce(sum(sessions), 0)::BIGINT AS sessions,
         coalesce(sum(waits), 0)::BIGINT AS waits, coalesce(sum(wait_ms), 0)::BIGINT AS wait_ms
  FROM parts GROUP BY cell, minute;

-- ------------------------------------------------------------------------------------------- every level's minutes
CREATE OR REPLACE MACRO key_of(level, cell) AS
  CASE level WHEN 'cell' THEN cell WHEN 'gh5' THEN left(cell, 5) WHEN 'gh4' THEN left(cell, 4)
             WHEN 'region' THEN getvariable('region') END;
CREATE TABLE levels AS SELECT unnest(getvariable('levels')::VARCHAR[]) AS level;
CREATE TABLE windows AS SELECT unnest(getvariable('windows')::STRUCT(name VARCHAR, minutes BIGINT)[], recursive := true);

CREATE TABLE panes AS
  WITH sums AS (
    SELECT level, key_of(level, cell) AS key, minute, sum(COLUMNS(* EXCLUDE (level, cell, minute)))::BIGINT
    FROM cell_panes, levels GROUP BY ALL
  ), present AS (
    SELECT level, key_of(level, cell) AS key, minute, count(DISTINCT driver) AS drivers FROM held, levels GROUP BY ALL
  ), asking AS (
    SELECT level, key_of(level, cell) AS key, minute_of(ts) AS minute, count(DISTINCT rider) AS riders
    FROM steps, levels WHERE type = 'ride.requested' GROUP BY ALL
  )
  SELECT sums.*, coalesce(drivers, 0) AS drivers, coalesce(riders, 0) AS riders
  FROM sums LEFT JOIN present USING (level, key, minute) LEFT JOIN asking USING (level, key, minute);

CREATE TABLE truth_waits AS
  SELECT level, key_of(level, cell) AS key, minute_of(ts) AS minute, since_request_ms AS wait_ms
  FROM steps, levels WHERE type = 'ride.picked_up';

-- -------------------------------------------------------------------------------------------- every level's windows
-- A minute is part of as many windows as a window has minutes: the last starts with it, the first ends with it.
-- Quantiles: the ⌊1 + q (n − 1)⌋-th smallest, which is what a DDSketch promises to be near.
CREATE TABLE truth_rows AS
  WITH sums AS (
    SELECT level, key, name AS "window", minutes, s AS start_minute,
           sum(open_ms) AS open_ms, sum(enroute_ms) AS enroute_ms, sum(busy_ms) AS busy_ms,
           sum(CASE WHEN minute = s + minutes - 1 THEN open_end ELSE 0 END) AS open_end,
           sum(pickups) AS pickups, sum(dropoffs) AS dropoffs, sum(requests) AS requests, sum(cancels) AS cancels,
           sum(completes) AS completes, sum(sessions) AS sessions, sum(waits) AS waits, sum(wait_ms) AS wait_ms,
           CASE WHEN minutes = 1 THEN sum(drivers) ELSE 0 END AS drivers,
           CASE WHEN minutes = 1 THEN sum(riders) ELSE 0 END AS riders
    FROM (SELECT *, unnest(range(minute - minutes + 1, minute + 1)) AS s FROM panes, windows)
    GROUP BY level, key, name, minutes, s
  ), spread AS (
    SELECT level, key, name AS "window", s AS start_minute, list(wait_ms ORDER BY wait_ms) AS sorted
    FROM (SELECT *, unnest(range(minute - minutes + 1, minute + 1)) AS s FROM truth_waits, windows)
    GROUP BY level, key, name, s
  )
  SELECT level, key, "window", start_minute * 60000 AS start, (start_minute + minutes) * 60000 AS "end",
         open_ms::BIGINT / 1000 AS open_s, enroute_ms::BIGINT / 1000 AS enroute_s, busy_ms::BIGINT / 1000 AS busy_s,
         drivers::DOUBLE AS drivers, open_end::DOUBLE AS open_end, pickups::DOUBLE AS pickups,
         dropoffs::DOUBLE AS dropoffs, requests::DOUBLE AS requests, cancels::DOUBLE AS cancels,
         completes::DOUBLE AS completes, sessions::DOUBLE AS sessions, riders::DOUBLE AS riders,
         waits::DOUBLE AS waits,
         CASE WHEN waits = 0 THEN 0::DOUBLE ELSE wait_ms::BIGINT / (waits::BIGINT * 1000) END AS wait_s_mean,
         coalesce(sorted[1 + (len(sorted) - 1) * 50 // 100], 0) / 1000 AS wait_s_p50,
         coalesce(sorted[1 + (len(sorted) - 1) * 90 // 100], 0) / 1000 AS wait_s_p90,
         CASE WHEN minutes = 1 THEN 0::DOUBLE
              ELSE (open_ms + enroute_ms + busy_ms)::BIGINT / (minutes * 60000) END AS drivers_mean
  FROM sums LEFT JOIN spread USING (level, key, "window", start_minute);
