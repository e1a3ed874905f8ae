"""Programs of others against a real replica: each enumerates, filters, gets, calls a method, follows its job and meets a
fault. What they cannot write themselves (curl's envelopes, a file with an endpoint for wslinvoke) or not send (those of
wsman-messages: npm/client.js) is written here."""
import json
import re
import shlex
import uuid
import xml.etree.ElementTree as ET
from pathlib import Path
from xml.sax.saxutils import escape

import pytest
from sites import IDLE, PASSWORD, ROOT, until
from wsman import A, CLASSES, N, PREFIXES, RUNNING, S, W, WQL, X, Fault, object_of, parameters, selector_set, vm_ref

SERVICE = f"{CLASSES}Msvm_ReplicationService"
REPLICAS = "SELECT ElementName, Name FROM Msvm_ComputerSystem WHERE ReplicationMode = 2"
ENDPOINT = "https://host-b:5986/wsman"


@pytest.fixture(scope="module")
def replica(site):
    """A VM with a point on B; nobody writes."""
    vm = site.a.define_guest("clients", disks=("16M",), cmdline=IDLE, start=True)
    site.enable("clients")
    site.wait_point(vm)
    yield str(vm).upper()
    site.a.virsh("destroy", "clients")


def revert(site, vm):
    """Makes it a replica again, for whoever comes next."""
    assert site.status("B", vm)["ReplicationState"] == "5"
    site.cli("B", "revert", "clients", "--yes")
    assert site.status("B", vm)["ReplicationState"] == "3"


def ended(job_of):
    """Follows a job by what its client reads of it: it must complete."""
    job = until(lambda: (found := job_of()) and found["JobState"] not in RUNNING and found, 60, "the job ends")
    assert job["JobState"] == "7" and job["ErrorCode"] == "0", job


# ---- curl: nothing but SOAP ----

def curl(site, action, resource, body="", keys=None, status=200):
    """The element in the Body."""
    envelope = f"""<s:Envelope {PREFIXES}><s:Header><a:To>{ENDPOINT}</a:To><a:Action>{action}</a:Action>
<a:MessageID>{uuid.uuid4()}</a:MessageID><a:ReplyTo><a:Address>{A}/role/anonymous</a:Address></a:ReplyTo>
<w:ResourceURI>{resource}</w:ResourceURI>{selector_set(keys or {})}</s:Header><s:Body>{body}</s:Body></s:Envelope>"""
    said = site.b.run(["curl", "--silent", "--show-error", "--cacert", "/etc/understudy/tls/authority.crt",
                       "--user", f"admin:{PASSWORD}", "--header", "Content-Type: application/soap+xml;charset=UTF-8",
                       "--data-binary", "@-", "--write-out", "\n%{http_code}", ENDPOINT], input=envelope).stdout
    answer, code = said.rsplit("\n", 1)
    assert code == str(status), said
    return ET.fromstring(answer).find("{http://www.w3.org/2003/05/soap-envelope}Body")[0]


def optimised(query):
    return (f'<n:Enumerate><w:OptimizeEnumeration/><w:MaxElements>50</w:MaxElements><w:Filter Dialect="{WQL}">{escape(query)}'
            "</w:Filter></n:Enumerate>")


def test_curl(site, replica):
    found = curl(site, f"{N}/Enumerate", f"{CLASSES}Msvm_ReplicationRelationship",
                 "<n:Enumerate><w:OptimizeEnumeration/><w:MaxElements>50</w:MaxElements></n:Enumerate>")
    assert f"Microsoft:{replica}\\HVR\\0" in "".join(found.itertext())
    items = curl(site, f"{N}/Enumerate", f"{CLASSES}*", optimised(REPLICAS)).find(f"{{{W}}}Items")
    assert replica in [object_of(item)["Name"] for item in items]
    assert object_of(curl(site, f"{X}/Get", f"{CLASSES}Msvm_ComputerSystem", keys={"Name": replica}))["ElementName"] == "clients"

    answer = object_of(curl(site, f"{SERVICE}/InitiateFailover", SERVICE,
                            parameters(SERVICE, "InitiateFailover", {"ComputerSystem": vm_ref(replica)}),
                            {"CreationClassName": "Msvm_ReplicationService"}))
    assert answer["ReturnValue"] == "4096", answer
    job = answer["Job"]["InstanceID"]
    ended(lambda: object_of(curl(site, f"{X}/Get", f"{CLASSES}Msvm_ConcreteJob", keys={"InstanceID": job})))
    revert(site, replica)

    fault = curl(site, f"{X}/Get", f"{CLASSES}Msvm_ComputerSystem", keys={"Name": replica, "Colour": "red"}, status=500)
    assert "UnexpectedSelectors" in "".join(fault.itertext())


# ---- python3-winrm ----

def test_python3_winrm(site, replica):
    client = site.wsman("B")
    assert replica in [found["Name"] for found in client.enumerate("Msvm_ComputerSystem")]
    assert replica in [found["Name"] for found in client.wql(REPLICAS)]
    assert client.vm(replica)["ElementName"] == "clients"
    answer = client.service("InitiateFailover", ComputerSystem=vm_ref(replica))
    assert answer["ReturnValue"] == 4096, answer
    ended(lambda: client.job(answer["Job"]))
    revert(site, replica)
    with pytest.raises(Fault, match="CannotProcessFilter|WQL"):
        client.wql("SELECT * FROM Msvm_Unicorn")


# ---- python3-dracclient: its method calls carry texts only. InitiateFailover wants a reference, so it pauses a replica ----

DRACCLIENT = """
import json, sys, warnings
warnings.simplefilter("ignore")
from dracclient import exceptions, wsman
client = wsman.Client("host-b", "admin", sys.argv[1], port=5986)
call, arguments = json.loads(sys.argv[2])
try:
    found = getattr(client, call)(**arguments)
    print(wsman.ElementTree.tostring(found).decode())
except exceptions.WSManInvalidResponse as fault:
    sys.exit(str(fault))
"""


def dracclient(site, call, **arguments):
    return site.b.run(["/usr/bin/python3", "-c", DRACCLIENT, PASSWORD, json.dumps([call, arguments])], check=False)


def drac_objects(site, **arguments):
    done = dracclient(site, "enumerate", **arguments)
    assert done.returncode == 0, done.stderr
    return [object_of(item) for item in ET.fromstring(done.stdout).find(f".//{{{W}}}Items")]


def test_python3_dracclient(site, replica):
    # One item in the first answer and in each Pull: it gathers them.
    found = drac_objects(site, resource_uri=f"{CLASSES}Msvm_ReplicationSettingData", max_elems=1)
    assert f"Microsoft:{replica}\\HVR\\0" in [one["InstanceID"] for one in found]
    by_key = f"SELECT * FROM Msvm_ComputerSystem WHERE Name = '{replica.lower()}'"
    [vm] = drac_objects(site, resource_uri=f"{CLASSES}*", filter_query=by_key, filter_dialect="wql")
    assert vm["ElementName"] == "clients"
    for state, now in ((7, "7"), (3, "3")):  # pause and resume on the replica's side
        done = dracclient(site, "invoke", resource_uri=f"{CLASSES}Msvm_ComputerSystem", method="RequestReplicationStateChange",
                          selectors={"Name": replica}, properties={"RequestedState": str(state)})
        assert ">4096<" in done.stdout, done
        job = re.search(r'Name="InstanceID">([^<]+)<', done.stdout).group(1)
        one = f"SELECT * FROM Msvm_ConcreteJob WHERE InstanceID = '{job}'"
        ended(lambda: drac_objects(site, resource_uri=f"{CLASSES}*", filter_query=one, filter_dialect="wql")[0])
        assert site.status("B", replica)["ReplicationState"] == now
    for vm in (replica, vm_ref(replica).xml()):  # which it makes plain text
        done = dracclient(site, "invoke", resource_uri=SERVICE, method="InitiateFailover", properties={"ComputerSystem": vm},
                          selectors={"CreationClassName": "Msvm_ReplicationService"})
        assert done.returncode == 1 and "500" in done.stderr, done
    refused = dracclient(site, "enumerate", resource_uri=f"{CLASSES}Msvm_ComputerSystem", filter_query="select", filter_dialect="cql")
    assert refused.returncode == 1 and "500" in refused.stderr, refused


# ---- wsman-messages, from npm: it writes messages, numbered 0, 1, 2 and sent to /wsman; npm/client.js sends them ----

def wsman_messages(site, *order, works=True):
    """The Bodies that it was answered with; of a fault, what it says."""
    modules = ROOT / "build/npm/node_modules"
    assert modules.exists(), f"{modules} is missing: run tools/packages.sh"
    done = site.b.run(["node", Path(__file__).with_name("npm") / "client.js", PASSWORD, json.dumps(order)], check=False,
                      env={"NODE_PATH": str(modules)})
    assert (done.returncode == 0) == works, done
    return [ET.fromstring(answer).find(f"{{{S}}}Body")[0] for answer in json.loads(done.stdout)] if works else done.stderr


def items_of(answers):
    return [object_of(item) for answer in answers for items in answer.iter(f"{{{N}}}Items") for item in items]


def test_wsman_messages(site, replica):
    answers = wsman_messages(site, "enumerate", "Msvm_ReplicationSettingData", None, 1)  # one item with each Pull
    found = items_of(answers)
    assert f"Microsoft:{replica}\\HVR\\0" in [one["InstanceID"] for one in found] and len(answers) > len(found)
    assert replica in [one["Name"] for one in items_of(wsman_messages(site, "enumerate", "*", REPLICAS))]
    by_key = {"name": "Name", "value": replica}
    [vm] = wsman_messages(site, "get", "Msvm_ComputerSystem", by_key)
    assert object_of(vm)["ElementName"] == "clients"

    [answer] = wsman_messages(site, "invoke", "InitiateFailover", replica)
    answer = object_of(answer)
    assert answer["ReturnValue"] == "4096", answer
    job = {"name": "InstanceID", "value": answer["Job"]["InstanceID"]}
    ended(lambda: object_of(wsman_messages(site, "get", "Msvm_ConcreteJob", job)[0]))
    revert(site, replica)

    fault = wsman_messages(site, "pull", "Msvm_ReplicationSettingData", "of-long-ago", works=False)
    assert "InvalidEnumerationContext" in fault, fault


# ---- wsl: bash and curl ----

class Wsl:
    def __init__(self, site):
        self.host = site.b
        self.folder = f"/tmp/wsl-{uuid.uuid4().hex}"
        self.host.run(["mkdir", self.folder])

    def __call__(self, *words, works=True):
        """What it prints."""
        settings = {"HOME": self.folder, "WSENDPOINT": "host-b:5986", "WSUSER": "admin", "WSPASS": PASSWORD,
                    "WSAUTOMATED": "1", "KEEPHISTORY": "0", "TERM": "dumb"}
        line = f"cd {self.folder} && {' '.join(map(shlex.quote, words))}"
        done = self.host.run(["bash", "-c", line], check=False, env=settings, timeout=120)
        assert (done.returncode == 0) == works, done
        return done.stdout

    def write(self, name, text):
        self.host.run(["tee", f"{self.folder}/{name}"], input=text)


def test_wsl(site, replica):
    wsl = Wsl(site)
    assert "Understudy" in wsl("wslid", "check")
    assert f"Microsoft:{replica}\\HVR\\0" in wsl("wslenum", f"{CLASSES}Msvm_ReplicationRelationship")
    shown = wsl("wslenum", f"{CLASSES}*", "-dialect", WQL, "-filter", REPLICAS, "-opti", "20")
    assert replica in shown and "<p:ElementName>clients<" in shown, shown
    assert "<p:ElementName>clients<" in wsl("wslget", f"{CLASSES}Msvm_ComputerSystem", f"Name={replica}")

    # wslinvoke puts this text into an envelope that knows the prefixes wsa and wsman.
    wsl.write("vm.xml", f"""<wsa:EndpointReference>
<wsa:Address>{A}/role/anonymous</wsa:Address>
<wsa:ReferenceParameters>
<wsman:ResourceURI>{CLASSES}Msvm_ComputerSystem</wsman:ResourceURI>
<wsman:SelectorSet><wsman:Selector Name="Name">{replica}</wsman:Selector></wsman:SelectorSet>
</wsa:ReferenceParameters>
</wsa:EndpointReference>
""")
    said = wsl("wslinvoke", SERVICE, "InitiateFailover", "ComputerSystem=FILE:vm.xml")
    assert "<p:ReturnValue>4096<" in said, said
    job = re.search(r'Name="InstanceID">([^<]+)<', said).group(1)

    def job_now():
        shown = wsl("wslget", f"{CLASSES}Msvm_ConcreteJob", f"InstanceID={job}")
        return dict(re.findall(r"<p:(JobState|ErrorCode)>(\d+)<", shown))
    ended(job_now)
    revert(site, replica)
    assert "DestinationUnreachable" in wsl("wslget", f"{CLASSES}Msvm_Unicorn", "Name=x", works=False)


# ---- monitoring programs: their queries, as they send them ----

def test_monitoring_queries(site, replica):
    wql = site.wsman("B").wql
    # Prometheus' windows_exporter.
    [relation] = [one for one in wql("SELECT ElementName, InstanceID, ReplicationHealth, ReplicationState FROM "
                                     "Msvm_ReplicationRelationship") if replica in one["InstanceID"]]
    assert set(relation) - {"__class"} == {"ElementName", "InstanceID", "ReplicationHealth", "ReplicationState"}
    assert relation["InstanceID"] == f"Microsoft:{replica}\\HVR\\0" and relation["ReplicationState"] == "3"
    # A template of Zabbix: class names in any case, no host.
    found = wql("SELECT ElementName, EnabledState, ReplicationState, ReplicationHealth FROM MsVm_ComputerSystem WHERE "
                "ReplicationState IS NOT NULL")
    assert "clients" in [one["ElementName"] for one in found] and "host-b" not in [one["ElementName"] for one in found]
    # By VM, by settings.
    columns = ("Caption, Description, ElementName, EnabledState, HealthState, InstallDate, Name, OnTimeInMilliseconds, ProcessID, "
               "ReplicationHealth, ReplicationMode, ReplicationState, RequestedState, Status, TimeOfLastStateChange")
    [vm] = wql(f"SELECT {columns} FROM Msvm_ComputerSystem WHERE Name = '{replica}'")
    assert vm["ElementName"] == "clients" and set(vm) - {"__class"} == set(columns.split(", "))
    [one] = wql(f"Select * from Msvm_ReplicationRelationship where InstanceID='Microsoft:{replica}\\\\HVR\\\\0'")
    assert one["ReplicationState"] == "3"
    [settings] = wql(f'SELECT * FROM Msvm_ReplicationSettingData WHERE VirtualSystemIdentifier LIKE "{replica}"')
    assert settings["ReplicationInterval"] == "30"
    disks = wql(f'SELECT * FROM Msvm_StorageAllocationSettingData WHERE InstanceID LIKE "Microsoft:{replica}%"')
    assert [disk["Address"] for disk in disks] == ["vda"]
    # The host is the one without InstallDate.
    systems = wql("SELECT ElementName, InstallDate, ReplicationMode FROM Msvm_ComputerSystem")
    assert [one["ElementName"] for one in systems if one["InstallDate"] is None] == ["host-b"]
    # A list of many VMs in one call.
    answer = site.wsman("B").invoke("Msvm_VirtualSystemManagementService", "GetSummaryInformation",
                                    {"CreationClassName": "Msvm_VirtualSystemManagementService"}, RequestedInformation=115)
    assert answer["ReturnValue"] == 0, answer
