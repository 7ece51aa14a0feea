"""Rows of the table of settings: who a service is, and how its spans are named."""

from __future__ import annotations

from ddmiddleware.tracing.settings_resource import resource_attribute, resource_tags
from ddmiddleware.tracing.settings_row import Setting
from ddmiddleware.tracing.settings_values import (
    boolean,
    methods,
    pairs,
    repository,
    schema,
    whole,
)

IDENTITY = (
    Setting(
        "DD_SERVICE",
        str,
        "",
        "Name of the service; guessed from the platform or the command line if unset.",
        ("OTEL_SERVICE_NAME", ("OTEL_RESOURCE_ATTRIBUTES", resource_attribute("service.name"))),
    ),
    Setting(
        "DD_ENV",
        str,
        "",
        "Environment, such as production; a tag of every span.",
        (("OTEL_RESOURCE_ATTRIBUTES", resource_attribute("deployment.environment.name", "deployment.environment")),),
    ),
    Setting(
        "DD_VERSION",
        str,
        "",
        "Version of the service; a tag of its spans.",
        (("OTEL_RESOURCE_ATTRIBUTES", resource_attribute("service.version")),),
    ),
    Setting(
        "DD_TAGS",
        pairs,
        {},
        "Tags of every span: key:value pairs, separated by commas or spaces.",
        (("OTEL_RESOURCE_ATTRIBUTES", resource_tags),),
    ),
    Setting("DD_SERVICE_MAPPING", pairs, {}, "Services to rename: from:to pairs."),
    Setting("DD_HOSTNAME", str.strip, "", "Name of this host; that of the system if unset."),
    Setting("DD_MAIN_PACKAGE", str.strip, "", "Distribution that holds the application; a tag of its traces."),
    Setting("DD_GIT_COMMIT_SHA", str.strip, "", "Commit that is running; also git.commit.sha in DD_TAGS."),
    Setting("DD_GIT_REPOSITORY_URL", repository, "", "Repository of the commit; also git.repository_url in DD_TAGS."),
)

NAMING = (
    Setting("DD_TRACE_METHODS", methods, (), "Functions to trace: module:function,Class.method;module2:function."),
    Setting("DD_TRACE_REPORT_HOSTNAME", boolean, False, "Tag local roots with the host's name."),
    Setting("DD_TRACE_GIT_METADATA_ENABLED", boolean, True, "Tag traces with the commit and repository, if known."),
    Setting(
        "DD_EXPERIMENTAL_PROPAGATE_PROCESS_TAGS_ENABLED",
        boolean,
        False,
        "Tag traces with what the process runs: script or module, its folder, the working directory's name.",
    ),
    Setting(
        "DD_TRACE_SPAN_ATTRIBUTE_SCHEMA",
        schema,
        "v0",
        "v1 gives clients' spans the service's own name and a peer.service, as the two switches below.",
    ),
    Setting(
        "DD_TRACE_REMOVE_INTEGRATION_SERVICE_NAMES_ENABLED",
        boolean,
        False,
        "Give clients' spans the service's own name, not one such as redis.",
    ),
    Setting(
        "DD_TRACE_PEER_SERVICE_DEFAULTS_ENABLED",
        boolean,
        False,
        "Tag clients' and producers' spans with the peer.service that their other tags name.",
    ),
    Setting("DD_TRACE_PEER_SERVICE_MAPPING", pairs, {}, "Values of peer.service to rename: from:to pairs."),
    Setting("DD_TRACE_SPAN_TRACEBACK_MAX_SIZE", whole, 30, "How many frames of an error's stack are kept."),
    Setting(
        "DD_TRACE_WRAP_SPAN_NAME_INCLUDE_CLASS",
        boolean,
        False,
        "Name the spans of wrap() after module, class and method, not module and method.",
    ),
)
