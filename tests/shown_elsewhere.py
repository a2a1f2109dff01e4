"""What runs the commands of the pages: a test that plays a page, another one, or a reason why none.

`test_shown_commands.py` compares this with the pages, both ways.
"""

from __future__ import annotations

# The blocks of these pages are run one after the other, by this test.
PLAYED = {
    "docs/tutorial.md": "tests/test_tutorial.py::test_newcomer",
    "docs/archive.md": "tests/test_tutorial.py::test_tour_of_the_archive",
    "docs/campaigns.md": "tests/test_tutorial.py::test_tour_of_campaigns",
    "docs/delivery.md": "tests/test_tutorial.py::test_tour_of_deliveries",
    "docs/engines.md": "tests/test_tutorial.py::test_tour_of_engines",
    "docs/reprocessing.md": "tests/test_tutorial.py::test_tour_of_reprocessing",
    "docs/operations-tour.md": "tests/test_operator_tours.py::test_one_host",
    "docs/operations-scaling.md": "tests/test_operator_tours.py::test_many_hosts",
}

# Each line of these pages is run, with names of simulated data.
RENAMED = {
    "docs/products.md": "tests/test_shown_archive.py::test_each_line_does_what_it_says",
    "docs/keep.md": "tests/test_shown_archive.py::test_each_line_does_what_it_says",
    "docs/reprocess.md": "tests/test_shown_archive.py::test_each_line_does_what_it_says",
    "docs/ingest.md": "tests/test_shown_archive.py::test_each_line_does_what_it_says",
}

# A line on any other page whose command has a like on a played page, with all its options, is run
# there with other names. These are run by other tests.
RUN_BY = {
    "tests/deployments/test_up_for_real.py::test_all_of_it_works_together_and_goes": (
        "hstflow up",
    ),
    "tests/deployments/dashboard/test_story.py::"
    "test_an_operator_rescues_a_damaged_dataset_in_the_browser": ("hstflow demo demo --up",),
    "tests/deployments/dashboard/test_cli.py::test_each_start_of_the_page_answers": (
        "hstflow dashboard",
        "hstflow dashboard --change",
        (
            "HSTFLOW_DASHBOARD_PASSWORD=ops:long-enough hstflow dashboard --host 0.0.0.0"
            " --name hst.example.org"
        ),
        (
            "HSTFLOW_DASHBOARD_PROXY_HEADER=X-Forwarded-User HSTFLOW_DASHBOARD_PROXIES=10.0.0.4"
            " hstflow dashboard --host 10.0.0.5 --name hst.example.org --root /hst"
        ),
    ),
    "tests/test_shown_archive.py::test_drizzling_is_asked_for_on_the_command_line": (
        "hstflow process j8bt05010 file:raws file:out --stage2 always --astrometry off",
    ),
    "tests/test_tutorial.py::test_newcomer": (".venv/bin/hstflow demo",),
    "tests/deployments/test_image.py::test_secrets_are_made_once_and_for_one": (
        "deployments/docker/make-secrets.sh",
    ),
    # With ports and a host of the test.
    "tests/test_operator_tours.py::test_many_hosts": (
        "dask scheduler --port 8786",
        (
            'dask worker tcp://HOST:8786 --nthreads 1 --resources "MEM_GB=64 DISK_GB=500"'
            " --preload flows.worker_setup"
        ),
        "createdb hstflow",
        "set -a; . server.env; . server.secret.env; set +a",
        "set -a; . worker.env; . worker.secret.env; set +a",
        "prefect server start",
    ),
    "tests/test_operator_tours.py::test_one_host": (
        "curl 'http://localhost:8080/campaigns/spring/datasets?format=csv&state=error&rows=1000'",
    ),
    # The wheel, constrained, into an environment of its own.
    "tests/deployments/test_image_for_real.py::test_any_caller_calibrates": (
        ".venv/bin/pip install -e . -c constraints.txt",
        "pip install -c constraints.txt .",
        (
            "python3.11 -m venv /opt/hstflow &&"
            " /opt/hstflow/bin/pip install -c constraints.txt '.[postgres]'"
        ),
    ),
    # What the units start, and what systemd itself says of them (systemd-analyze verify).
    "tests/deployments/test_image.py::test_systemd_understands_each_unit": (
        "systemctl daemon-reload",
        (
            "systemctl enable --now hstflow-ledger hstflow-server hstflow-dask-scheduler"
            " hstflow-dask-worker@1 hstflow-dask-worker@2 hstflow-worker hstflow-dashboard"
            " hstflow-backup.timer"
        ),
        (
            "install -m 644 deployments/profiles/*.service deployments/profiles/*.timer"
            " /etc/systemd/system/"
        ),
    ),
    "tests/deployments/test_profiles.py::test_the_shell_reads_what_systemd_reads": (
        "install -m 644 deployments/profiles/*.env /etc/hstflow/",
    ),
    # Its commands are read by Docker (make compose-check) and by the command line's own parser.
    "tests/deployments/test_image.py::test_commands_of_services_are_ours": (
        "docker compose up --detach --wait",
        (
            "docker compose run --rm hstflow campaign submit night @/data/ids.txt astroquery:"
            " file:/data/out --runner tcp://dask-scheduler:8786"
        ),
    ),
}

# Why none runs it, and what looks at it instead.
NOT_RUN = {
    "the shell's own": (". .venv/bin/activate",),
    "targets of the Makefile exist (test_docs.py); CI runs make install, test and full itself": (
        "make demo",
        "make test",
        "make format",
        "make check",
        "pytest tests/calib/steps",
        "python3 -m venv .venv",
    ),
    "needs an engine for images; the Dockerfile is read by a parser in test_image.py": (
        "make image",
        "make image HSTCAL=conda EXTRAS=s3,postgres,cos,drizzle",
        "make image-test",
        "BUILDAH_FORMAT=docker make image ENGINE=podman",
        "make compose-check",
        (
            'docker run --rm --user "$(id -u):$(id -g)" -v "$PWD:/data" -w /data hstflow process'
            " j8bt05njq"
        ),
        (
            'docker run --rm --user "$(id -u):$(id -g)" -v "$PWD:/data"'
            ' -v "$HOME/.cache/hstflow-image:/cache" -v "$HOME/.aws:/home/hstflow/.aws:ro"'
            " -e HSTFLOW_LEDGER=/data/ledger.db -e HSTFLOW_WORK=/data/work -e CRDS_PATH=/cache/crds"
            " hstflow process j8bt05njq astroquery: file:/data/out"
        ),
    ),
    "changes the accounts and folders of the host": (
        "useradd --system --home-dir /var/lib/hstflow --create-home hstflow",
        "install -d -m 755 /etc/hstflow",
        "install -m 600 -o hstflow /dev/null /etc/hstflow/worker.secret.env",
    ),
    "brings packages from an index; CI installs these programs by .ci/programs": (
        "python3 -m venv ~/hst-programs",
        "~/hst-programs/bin/pip install calcos drizzlepac",
        "pip install 'hstflow[postgres]'",
        "pip install 'hstflow[drizzle]'",
        "pip install 'hstflow[quicklook]'",
    ),
}
