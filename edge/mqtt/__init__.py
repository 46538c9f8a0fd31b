"""The door of paho-mqtt: the publisher of the device and a small subscriber, over one kind of connection.

Only this folder imports paho.
"""

from edge.mqtt.connection import BrokerSettings, RetryPolicy, TlsFiles
from edge.mqtt.handover import HeardCommand
from edge.mqtt.publisher import Publisher
from edge.mqtt.subscriber import Received, Subscriber
from edge.mqtt.tls_check import check_tls

__all__ = [
    "BrokerSettings",
    "HeardCommand",
    "Publisher",
    "Received",
    "RetryPolicy",
    "Subscriber",
    "TlsFiles",
    "check_tls",
]
