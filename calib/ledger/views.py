"""Views of the ledger, for people with a database client and for other programs.

Tables may change with a version of hstflow; views are what we keep. They are made anew after
every upgrade of the schema, so a migration never has to mind them. Times are ISO 8601 text in
UTC, sizes bytes.
"""

from __future__ import annotations

from sqlalchemy import Connection, text

# View -> what it shows, for docs/archive.md and `hstflow archive --help`; and its query.
VIEWS: dict[str, tuple[str, str]] = {
    "runs": (
        "Every run with how much it holds; pruned publications do not count.",
        """
        SELECT run.name AS run, run.kind AS kind, run.context AS context, run.engine AS engine,
          run.engine_version AS engine_version, run.output AS output,
          run.parameters AS parameters, run.created_at AS created_at,
          COUNT(DISTINCT publication.id) AS datasets, COUNT(product.id) AS products,
          COALESCE(SUM(product.size), 0) AS bytes,
          (SELECT COUNT(*) FROM current_run WHERE current_run.run_id = run.id)
            AS current_datasets
        FROM run
          LEFT JOIN publication
            ON publication.run_id = run.id AND publication.removed_at IS NULL
          LEFT JOIN product ON product.publication_id = publication.id
        GROUP BY run.id, run.name, run.kind, run.context, run.engine, run.engine_version,
          run.output, run.parameters, run.created_at
        """,
    ),
    "products": (
        "Every file that exists, with its data id and whether it is of the current version.",
        """
        SELECT product.id AS id, run.name AS run, publication.dataset AS dataset,
          product.name AS name, product.type AS type, product.rootname AS rootname,
          data_id.instrument AS instrument, data_id.detector AS detector,
          data_id.filter AS filter, data_id.program AS program, data_id.visit AS visit,
          data_id.proposal AS proposal, data_id.target AS target,
          data_id.observed_at AS observed_at, data_id.exptime AS exptime,
          run.kind AS kind, run.context AS context, run.engine AS engine,
          run.engine_version AS engine_version, product.sha256 AS sha256,
          product.size AS size,
          COALESCE(product.uri, publication.uri || '/' || product.name) AS uri,
          publication.transfer AS transfer, publication.published_at AS published_at,
          CASE WHEN current_run.run_id = run.id THEN 1 ELSE 0 END AS is_current
        FROM product
          JOIN publication ON publication.id = product.publication_id
          JOIN run ON run.id = publication.run_id
          LEFT JOIN data_id ON data_id.rootname = product.rootname
          LEFT JOIN current_run ON current_run.dataset = publication.dataset
        WHERE publication.removed_at IS NULL
        """,
    ),
    "publications": (
        "Every dataset of every run, also those that were pruned (removed_at).",
        """
        SELECT publication.id AS id, run.name AS run, publication.dataset AS dataset,
          publication.uri AS uri, publication.fingerprint AS fingerprint,
          publication.manifest_sha256 AS manifest_sha256, publication.transfer AS transfer,
          publication.published_at AS published_at, publication.removed_at AS removed_at,
          CASE WHEN current_run.run_id = run.id THEN 1 ELSE 0 END AS is_current
        FROM publication
          JOIN run ON run.id = publication.run_id
          LEFT JOIN current_run ON current_run.dataset = publication.dataset
        """,
    ),
    "members": (
        "The rows of association tables: the exposures and products of every association.",
        """
        SELECT association, rootname, type, present FROM member
        """,
    ),
    "inputs": (
        "Which input files the publications were made from.",
        """
        SELECT run.name AS run, publication.dataset AS dataset, input_used.name AS input,
          input_used.rootname AS rootname, input_used.suffix AS type,
          input_used.sha256 AS sha256, input_used.size AS size, input_used.source AS source
        FROM publication
          JOIN run ON run.id = publication.run_id
          JOIN input_used ON input_used.attempt_id = publication.attempt_id
        """,
    ),
    "references_used": (
        "Which reference files the publications were made with, by exposure and keyword.",
        """
        SELECT run.name AS run, publication.dataset AS dataset,
          reference_used.exposure AS exposure, reference_used.keyword AS keyword,
          reference_used.name AS reference, reference_used.sha1 AS sha1,
          reference_used.required AS required, reference_used.present AS present
        FROM publication
          JOIN run ON run.id = publication.run_id
          JOIN reference_used ON reference_used.attempt_id = publication.attempt_id
        """,
    ),
    "jobs": (
        "Every job as it is now: a dataset in a campaign.",
        """
        SELECT job.id AS id, campaign.name AS campaign, job.dataset AS dataset,
          job.instrument AS instrument, job.run AS run, job.context AS context,
          job.state AS state, job.reason AS reason, job.attempts AS attempts,
          job.error_class AS error_class, job.code AS code, job.uri AS uri,
          job.created_at AS created_at, job.updated_at AS updated_at, job.chunk AS chunk,
          job.position AS position, job.priority AS priority, job.memory AS memory,
          job.disk AS disk, job.time_scale AS time_scale, job.overrides AS overrides,
          job.retries AS retries
        FROM job JOIN campaign ON campaign.id = job.campaign_id
        """,
    ),
    "campaigns": (
        "Every campaign with how many jobs it has, and how many are finished or failed.",
        """
        SELECT campaign.id AS id, campaign.name AS campaign, campaign.context AS context,
          campaign.priority AS priority, campaign.control AS control,
          campaign.created_at AS created_at, COUNT(job.id) AS jobs,
          COALESCE(SUM(CASE WHEN job.state IN ('processed', 'synced', 'archived', 'skipped')
            THEN 1 ELSE 0 END), 0) AS finished,
          COALESCE(SUM(CASE WHEN job.state = 'error' THEN 1 ELSE 0 END), 0) AS failed
        FROM campaign LEFT JOIN job ON job.campaign_id = campaign.id
        GROUP BY campaign.id, campaign.name, campaign.context, campaign.priority,
          campaign.control, campaign.created_at
        """,
    ),
    "sessions": (
        "Every process that worked on a campaign, and how its work ended.",
        """
        SELECT campaign_session.id AS id, campaign.name AS campaign,
          campaign_session.host AS host, campaign_session.pid AS pid,
          campaign_session.flow_run AS flow_run, campaign_session.started_at AS started_at,
          campaign_session.heartbeat_at AS heartbeat_at,
          campaign_session.ended_at AS ended_at, campaign_session.outcome AS outcome,
          campaign_session.message AS message
        FROM campaign_session JOIN campaign ON campaign.id = campaign_session.campaign_id
        """,
    ),
    "attempts": (
        "Every try of every job: where it ran, what it was granted, how it ended.",
        """
        SELECT attempt.id AS id, campaign.name AS campaign, job.dataset AS dataset,
          job.instrument AS instrument, job.run AS run, job.context AS context,
          attempt.number AS attempt, attempt.outcome AS outcome,
          attempt.error_class AS error_class, attempt.code AS code,
          attempt.message AS message, attempt.started_at AS started_at,
          attempt.ended_at AS ended_at, attempt.memory AS memory,
          attempt.time_scale AS time_scale, attempt.host AS host, attempt.pid AS pid
        FROM attempt
          JOIN job ON job.id = attempt.job_id
          JOIN campaign ON campaign.id = job.campaign_id
        """,
    ),
    "costs": (
        "What every stage of every attempt cost, beside the memory granted and the features.",
        """
        SELECT stage_run.id AS id, campaign.name AS campaign, job.dataset AS dataset,
          job.instrument AS instrument, job.run AS run, job.context AS context,
          attempt.number AS attempt, stage_run.stage AS stage, stage_run.state AS state,
          stage_run.started_at AS started_at, stage_run.ended_at AS ended_at,
          stage_run.wall AS wall, stage_run.cpu AS cpu, stage_run.peak_rss AS peak_rss,
          stage_run.bytes_in AS bytes_in, stage_run.bytes_out AS bytes_out,
          stage_run.disk AS disk, attempt.memory AS memory,
          attempt.time_scale AS time_scale, attempt.host AS host, stage_run.error AS error,
          feature.n_files AS n_files, feature.total_mb AS total_mb,
          feature.drizcorr AS drizcorr, feature.pctecorr AS pctecorr,
          feature.crsplit AS crsplit, feature.subarray AS subarray,
          feature.detector AS detector, feature.dtype AS dtype, feature.instr AS instr
        FROM stage_run
          JOIN attempt ON attempt.id = stage_run.attempt_id
          JOIN job ON job.id = attempt.job_id
          JOIN campaign ON campaign.id = job.campaign_id
          LEFT JOIN feature ON feature.attempt_id = attempt.id
        """,
    ),
    "features": (
        "What the inputs of the attempts look like: what needs are predicted from.",
        """
        SELECT feature.id AS id, campaign.name AS campaign, job.dataset AS dataset,
          attempt.number AS attempt, feature.n_files AS n_files, feature.total_mb AS total_mb,
          feature.drizcorr AS drizcorr, feature.pctecorr AS pctecorr,
          feature.crsplit AS crsplit, feature.subarray AS subarray,
          feature.detector AS detector, feature.dtype AS dtype, feature.instr AS instr
        FROM feature
          JOIN attempt ON attempt.id = feature.attempt_id
          JOIN job ON job.id = attempt.job_id
          JOIN campaign ON campaign.id = job.campaign_id
        """,
    ),
    "predictions": (
        "Every model that was trained of what datasets need; the last of a target counts.",
        """
        SELECT id, target, trained_at, examples, content FROM prediction
        """,
    ),
    "collections": (
        "Every chain, tag and calibration collection.",
        """
        SELECT name, kind, note, created_at, updated_at FROM collection
        """,
    ),
    "chains": (
        "The runs and chains in every chain, in order.",
        """
        SELECT chain.name AS chain, chain_member.position AS position, run.name AS run,
          child.name AS child
        FROM chain_member
          JOIN collection AS chain ON chain.id = chain_member.collection_id
          LEFT JOIN run ON run.id = chain_member.run_id
          LEFT JOIN collection AS child ON child.id = chain_member.child_id
        """,
    ),
    "tags": (
        "The products in every tag.",
        """
        SELECT collection.name AS tag, tagged_product.product_id AS product_id,
          run.name AS run, publication.dataset AS dataset, product.name AS name
        FROM tagged_product
          JOIN collection ON collection.id = tagged_product.collection_id
          JOIN product ON product.id = tagged_product.product_id
          JOIN publication ON publication.id = product.publication_id
          JOIN run ON run.id = publication.run_id
        """,
    ),
    "calibrations": (
        "References of the user's own, with the dates for which they are valid.",
        """
        SELECT collection.name AS calibration, validity.instrument AS instrument,
          validity.detector AS detector, validity.keyword AS keyword,
          validity.reference AS reference, validity.sha1 AS sha1, validity.uri AS uri,
          validity.begins_at AS begins_at, validity.ends_at AS ends_at,
          validity.certified_at AS certified_at
        FROM validity JOIN collection ON collection.id = validity.collection_id
        """,
    ),
    "tombstones": (
        "Products that a run does not make any more, and the last run that did.",
        """
        SELECT run.name AS run, publication.dataset AS dataset, tombstone.name AS name,
          tombstone.last_run AS last_run, publication.published_at AS published_at
        FROM tombstone
          JOIN publication ON publication.id = tombstone.publication_id
          JOIN run ON run.id = publication.run_id
        """,
    ),
}


def drop_views(connection: Connection) -> None:
    """Remove the views, so that the tables below them can change."""
    for name in VIEWS:
        connection.execute(text(f"DROP VIEW IF EXISTS {name}"))


def create_views(connection: Connection) -> None:
    """Make the views; none of them is there."""
    for name, (_, query) in VIEWS.items():
        connection.execute(text(f"CREATE VIEW {name} AS {query}"))
