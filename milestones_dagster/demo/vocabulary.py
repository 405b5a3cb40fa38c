"""The words of the demonstration company: setup steps, feature habits, settings, event names, with their planted roles.

Put here: what exists and which part it plays. Keep out: how strong the world's effects are (`world.py`), the equations.
The names of steps and features are those of the default configuration; a test holds the two together.
"""

# ruff: noqa: E501  (a habit is one line of a table)

from dataclasses import dataclass
from typing import Literal

Role = Literal["driver", "ubiquitous", "niche_premium", "family", "warning", "null"]
Actor = Literal["teammate", "contact", "product"]

PLANS = ("starter", "growth", "premium")
PLAN_PRICES_USD = (29.0, 59.0, 99.0)
PAID_PLANS = ("growth", "premium")
PREMIUM = ("premium",)
INDUSTRIES = ("software", "commerce", "finance", "education", "health", "services")
COUNTRIES = ("US", "GB", "DE", "FR", "AU", "BR", "IN")


@dataclass(frozen=True)
class Step:
    """A setup step: log-odds that it is ever done, loadings, median delay in days, effect on the log-odds of volume."""

    name: str
    event: str
    role: Literal["causes", "routine", "niche", "no_effect"]
    log_odds: float
    intent: float
    size: float
    plan: float
    delay_days: float
    effect: float


STEPS = (
    Step("install_messenger", "messenger_installed", "causes", 1.5, 0.6, 0.0, 0.0, 9.0, 1.1),
    Step("customise_messenger", "messenger_customised", "routine", 5.2, 0.1, 0.0, 0.0, 1.5, 0.0),
    Step("connect_support_email", "support_email_connected", "causes", 0.8, 0.5, 0.1, 0.1, 10.0, 0.9),
    Step("invite_teammates", "teammate_invited", "causes", 0.5, 0.4, 0.5, 0.2, 11.0, 0.7),
    Step("publish_articles", "article_published", "no_effect", 0.0, 0.7, 0.1, 0.2, 12.0, 0.0),
    Step("import_history", "history_imported", "niche", -4.1, 0.1, 0.6, 0.5, 8.0, 0.0),
    Step("configure_automation", "workflow_published", "causes", 0.2, 0.5, 0.1, 0.4, 14.0, 0.7),
)


@dataclass(frozen=True)
class Habit:
    """The use of one feature, month after month, seen in one event.

    `log_odds` of using it in a month at average intent and size, loadings on intent and size, `spread` of the accounts'
    own inclination (standard deviation, log-odds), `volume` of events in a month of use at one seat, `effect` on the
    log-odds of staying in a month of use (0: it does nothing).
    """

    event: str
    features: tuple[str, ...]
    category: str
    log_odds: float
    volume: float
    role: Role = "null"
    intent: float = 0.25
    size: float = 0.1
    spread: float = 2.0
    effect: float = 0.0
    family: str = ""
    plans: tuple[str, ...] = PLANS
    actor: Actor = "teammate"


HABITS = (
    # Support channels
    Habit("messenger_message_sent", ("messenger_days",), "support_channels", 0.3, 3.8, actor="contact"),
    Habit("email_message_received", ("email_days",), "support_channels", 0.1, 3.0, actor="contact"),
    Habit("social_message_received", ("social_used",), "support_channels", -1.9, 2.2, actor="contact"),
    Habit("whatsapp_message_received", ("whatsapp_used",), "support_channels", -1.5, 2.2, plans=PAID_PLANS, actor="contact"),
    Habit("phone_call_answered", ("phone_used",), "support_channels", -2.0, 2.2, plans=PAID_PLANS),
    Habit("sms_message_received", ("sms_used",), "support_channels", -2.4, 2.0, plans=PAID_PLANS, actor="contact"),
    Habit("help_centre_searched", ("help_centre_per_seat",), "support_channels", -0.4, 2.2, actor="contact"),
    Habit("article_published", ("articles_count",), "support_channels", -0.7, 1.5),
    Habit("article_rated", ("article_ratings_used",), "support_channels", -1.2, 1.5, actor="contact"),
    Habit("outbound_message_sent", ("outbound_count",), "support_channels", -1.0, 2.0),
    Habit("product_tour_started", ("tours_used",), "support_channels", -1.9, 2.0, plans=PAID_PLANS, actor="contact"),
    Habit("news_item_published", ("news_used",), "support_channels", -2.0, 1.2),
    Habit("messenger_home_viewed", ("home_screen_days",), "support_channels", 4.2, 3.8, "ubiquitous", 0.2, 0.0, 0.4, actor="contact"),
    Habit("messenger_opened", (), "support_channels", 2.5, 3.0, actor="contact"),
    # Automation
    Habit("workflow_triggered", ("workflows_per_seat",), "automation", -0.7, 3.0, "driver", 0.25, 0.2, 3.2, 1.2, "automation"),
    Habit("workflow_edited", ("workflow_edits_days",), "automation", -1.1, 1.5, "family", 0.25, 0.2, 3.0, 0.0, "automation"),
    Habit("answer_bot_replied", ("answer_bot_per_seat",), "automation", -1.0, 3.0, "driver", 0.25, 0.1, 3.2, 1.0, "bot", actor="product"),
    Habit("answer_bot_trained", ("bot_training_used",), "automation", -1.5, 1.3, "family", 0.25, 0.1, 3.0, 0.0, "bot"),
    Habit("bot_handover_made", ("bot_handover_count",), "automation", -1.1, 1.9, "family", 0.25, 0.1, 3.0, 0.0, "bot", actor="product"),
    Habit("auto_close_triggered", ("auto_close_used",), "automation", -1.4, 1.9, actor="product"),
    Habit("triage_rule_applied", ("triage_used",), "automation", -1.9, 1.9, actor="product"),
    # Support operations
    Habit("inbox_opened", ("inbox_days", "inbox_users"), "support_operations", 4.6, 6.0, "ubiquitous", 0.2, 0.0, 0.4),
    Habit("mobile_inbox_opened", ("mobile_inbox_days", "mobile_inbox_trend"), "support_operations", -0.2, 3.8, "warning", 0.1, 0.0),
    Habit("macro_used", ("macros_days",), "support_operations", -0.5, 3.0, "driver", 0.25, 0.1, 3.2, 1.3, "macros"),
    Habit("macro_edited", ("macro_edits_used",), "support_operations", -1.0, 1.3, "family", 0.25, 0.1, 3.0, 0.0, "macros"),
    Habit("conversation_tagged", ("tags_count",), "support_operations", -0.5, 2.2),
    Habit("internal_note_added", ("notes_days",), "support_operations", -0.4, 2.2),
    Habit("teammate_mentioned", ("mentions_days",), "support_operations", -0.8, 1.9, size=0.5),
    Habit("conversation_assigned", ("assignments_per_seat",), "support_operations", -0.4, 3.0, size=0.4),
    Habit("conversation_snoozed", ("snooze_used",), "support_operations", -0.8, 2.0, intent=0.0),
    Habit("inbox_view_opened", ("views_used",), "support_operations", -0.9, 1.9, size=0.4),
    Habit("ticket_created", ("tickets_count",), "support_operations", -0.9, 2.2, plans=PAID_PLANS),
    Habit("sla_rule_applied", ("sla_used",), "support_operations", -2.9, 2.2, "niche_premium", 0.2, 0.3, plans=PREMIUM, actor="product"),
    Habit("workload_limit_applied", ("workload_used",), "support_operations", -2.9, 2.0, "niche_premium", 0.2, 0.3, plans=PREMIUM, actor="product"),
    # Interoperability
    Habit("crm_record_synced", ("crm_days",), "interoperability", -1.2, 3.0, "driver", 0.25, 0.3, 3.2, 1.0, "crm", actor="product"),
    Habit("crm_field_mapped", ("crm_mapping_used",), "interoperability", -1.7, 1.2, "family", 0.25, 0.3, 3.0, 0.0, "crm"),
    Habit("issue_linked", ("issues_used",), "interoperability", -1.5, 2.0),
    Habit("chat_alert_sent", ("chat_alerts_days",), "interoperability", -0.7, 3.0, actor="product"),
    Habit("api_request_sent", ("api_per_seat",), "interoperability", -1.5, 3.0, intent=0.1, actor="product"),
    Habit("webhook_delivered", ("webhooks_days",), "interoperability", -1.8, 3.0, intent=0.1, actor="product"),
    Habit("app_installed", ("apps_count",), "interoperability", -1.8, 1.2),
    Habit("custom_object_synced", ("custom_objects_used",), "interoperability", -2.9, 2.0, "niche_premium", 0.2, 0.3, plans=PREMIUM, actor="product"),
    # Reporting
    Habit("dashboard_viewed", ("dashboards_days",), "reporting", -0.2, 3.0, "driver", 0.25, 0.2, 3.2, 1.2, "reports"),
    Habit("custom_report_created", ("custom_reports_used",), "reporting", -1.0, 1.5, "family", 0.25, 0.2, 3.0, 0.0, "reports", PAID_PLANS),
    Habit("report_exported", ("report_exports_count",), "reporting", -1.0, 2.0, "family", 0.25, 0.2, 3.0, 0.0, "reports"),
    Habit("team_report_viewed", ("team_reports_days",), "reporting", -0.8, 1.9, size=0.5),
    Habit("satisfaction_report_viewed", ("satisfaction_reports_days",), "reporting", -1.3, 2.0),
    Habit("topic_explored", ("topics_used",), "reporting", -1.7, 1.5, plans=PAID_PLANS),
    Habit("audit_log_viewed", ("audit_log_used",), "reporting", -2.7, 1.5, "niche_premium", 0.2, 0.3, plans=PREMIUM),
)  # fmt: skip

DRIVERS = tuple(index for index, habit in enumerate(HABITS) if habit.role == "driver")
FAMILIES = tuple(sorted({habit.family for habit in HABITS if habit.family}))


@dataclass(frozen=True)
class Setting:
    """Something that is switched on and off (an add-on is bought and dropped): log-odds that it is ever on."""

    name: str
    log_odds: float
    plans: tuple[str, ...] = PLANS
    role: Role = "null"

    @property
    def on_event(self) -> str:
        """Return the name of the event that switches it on."""
        return f"{self.name}_enabled"

    @property
    def off_event(self) -> str:
        """Return the name of the event that switches it off."""
        return f"{self.name}_disabled"


SETTINGS = (
    Setting("auto_assignment", -0.3),
    Setting("office_hours", 0.4),
    Setting("satisfaction_survey", -0.4),
    Setting("whatsapp_addon", -1.4, PAID_PLANS),
    Setting("phone_addon", -1.7, PAID_PLANS),
    Setting("single_sign_on", -1.2, PREMIUM, "niche_premium"),
)

CONVERSATION_EVENTS = ("conversation_started", "conversation_resolved", "conversation_reopened")

EVENTS = tuple(
    dict.fromkeys(
        (
            *CONVERSATION_EVENTS,
            *(step.event for step in STEPS),
            *(habit.event for habit in HABITS),
            *(name for setting in SETTINGS for name in (setting.on_event, setting.off_event)),
        )
    )
)
"""Every event name that can be generated; an event's code is its place."""

CODES = {name: code for code, name in enumerate(EVENTS)}

PLATFORMS = ("web", "ios", "android", "sandbox")
CHANNELS = ("messenger", "email", "whatsapp")


def feature_roles() -> dict[str, list[dict[str, str]]]:
    """Return the catalogue features by planted role, each with the event that shows it."""
    roles: dict[str, list[dict[str, str]]] = {}
    for habit in HABITS:
        for feature in habit.features:
            roles.setdefault(habit.role, []).append({"feature": feature, "event": habit.event})
    for setting in SETTINGS:
        roles.setdefault(setting.role, []).append({"feature": setting.name, "event": setting.on_event})
    return roles


def feature_families() -> dict[str, list[str]]:
    """Return the families of correlated features: name to catalogue features, the driver first."""
    members = {family: [habit for habit in HABITS if habit.family == family] for family in FAMILIES}
    return {
        family: [name for habit in sorted(habits, key=lambda each: each.role != "driver") for name in habit.features]
        for family, habits in members.items()
    }
