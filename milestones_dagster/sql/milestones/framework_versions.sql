/*
about: >
  Which definitions were in force, since when, and from which value on each milestone counted as reached under them. A version is the fingerprint of the framework
  config, so that any edit of it begins one; with `threshold: auto` a version has a further row whenever the data derive another value. Past rows stay as they were.
grain: one row per version of the framework, milestone and value that was in force
key: [version, milestone, first_as_of]
order: [first_as_of, version, position]
keeps: true
columns:
  version: VARCHAR NOT NULL -- Fingerprint of the framework config.
  milestone: VARCHAR NOT NULL -- `activation`, `usage` or `maturity`.
  position: INTEGER NOT NULL -- Order of the milestone.
  first_as_of: TIMESTAMP NOT NULL -- First as-of time at which the value was in force under this version, UTC.
  last_as_of: TIMESTAMP NOT NULL -- Last one, UTC.
  is_current: BOOLEAN NOT NULL -- The value is in force now.
  is_auto: BOOLEAN NOT NULL -- The config left the value to the data.
  value: DOUBLE [events, conversations per seat and month, or categories] -- The value in force; NULL where there was none.
  origin: VARCHAR NOT NULL -- `adopted`, `derived`, `kept` or `none`, as in thresholds_in_force.
  adopted: DOUBLE [as value] -- The value that the config had adopted; NULL where it left it to the data.
  derived: DOUBLE [as value] -- The value that the data derived; NULL without a signal, and where a number was in the config.
*/
WITH current_rows AS (
  SELECT v.version, h.milestone, h.position, o.as_of, h.is_auto, h.value, h.origin, h.adopted, h.derived
  FROM thresholds_in_force AS h
  CROSS JOIN run.version AS v
  CROSS JOIN run.observation AS o
), kept AS (
  SELECT p.*, c.milestone IS NOT NULL AS is_same
  FROM framework_versions AS p
  CROSS JOIN run.observation AS o
  LEFT JOIN current_rows AS c
    ON c.version = p.version AND c.milestone = p.milestone AND c.origin = p.origin AND NOT (c.value IS DISTINCT FROM p.value)
  -- what was in force at this as-of time alone is what a repeated run of it finds
  WHERE p.first_as_of < o.as_of
)
SELECT
  k.version, k.milestone, k.position, k.first_as_of, k.last_as_of, FALSE AS is_current, k.is_auto, k.value, k.origin, k.adopted, k.derived
FROM kept AS k
WHERE NOT k.is_same
UNION ALL
SELECT
  c.version,
  c.milestone,
  c.position,
  COALESCE(MIN(k.first_as_of), c.as_of) AS first_as_of,
  c.as_of AS last_as_of,
  TRUE AS is_current,
  c.is_auto,
  c.value,
  c.origin,
  c.adopted,
  c.derived
FROM current_rows AS c
LEFT JOIN kept AS k ON k.is_same AND k.version = c.version AND k.milestone = c.milestone
GROUP BY c.version, c.milestone, c.position, c.as_of, c.is_auto, c.value, c.origin, c.adopted, c.derived
