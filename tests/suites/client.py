"""A typical client with scim2-client, which validates every response against its models.

    TOKEN=.. python client.py http://127.0.0.1:8080/scim/v2
"""

import os
import sys

from httpx2 import Client
from scim2_client.engines.httpx2 import SyncSCIMClient
from scim2_models import (
    BulkOperation, BulkRequest, PatchOp, PatchOperation, SCIMException, SearchRequest,
)

ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"


class Scenario:
    """Runs the steps in order, and reports the result of each."""

    def __init__(self, scim):
        self.scim = scim
        scim.discover()
        self.User, self.Group = scim.get_resource_model("User"), scim.get_resource_model("Group")
        self.passed = self.failed = 0

    def report(self, what, right):
        self.passed, self.failed = (self.passed + 1, self.failed) if right else (self.passed, self.failed + 1)
        print(f"{'ok  ' if right else 'FAIL'} {what}")

    def refused(self, what, scim_type, act):
        try:
            act()
        except SCIMException as refusal:
            self.report(f"{what}: {refusal}", type(refusal).scim_type == scim_type)
        else:
            self.report(f"{what}: was not refused", False)

    def users(self):
        User, scim = self.User, self.scim
        ada = User(user_name="ada@example.com", display_name="Ada", emails=[{"value": "ada@example.com", "primary": True}])
        ada[ENTERPRISE] = type(ada).get_extension_model(ENTERPRISE)(department="Engines")
        ada = scim.create(ada)
        self.report("create", bool(ada.id) and ada.meta.location.endswith(f"/Users/{ada.id}"))
        self.refused("create again", "uniqueness", lambda: scim.create(User(user_name="ADA@example.com")))
        self.report("query one", scim.query(User, ada.id) == ada)
        page = scim.query(User, query_parameters=SearchRequest(filter='userName eq "ada@example.com"'))
        self.report("query by filter", page.total_results == 1 and page.resources[0].id == ada.id)

        ada.display_name = "Ada Lovelace"
        version = ada.meta.version
        ada = scim.replace(ada)
        self.report("replace", ada.display_name == "Ada Lovelace" and ada[ENTERPRISE].department == "Engines")
        self.report("replace changes the version", ada.meta.version != version)

        patch = PatchOp[User](operations=[
            PatchOperation[User](op="replace", path="active", value=False),
            PatchOperation[User](op="add", path="phoneNumbers", value=[{"value": "+1 5550100", "type": "work"}]),
            PatchOperation[User](op="remove", path='emails[value eq "ada@example.com"]'),
        ])
        done = scim.modify(User, ada.id, patch)
        ada = scim.query(User, ada.id)
        self.report("modify", ada.active is False and ada.phone_numbers[0].type == "work" and not ada.emails)
        self.report("modify answers the resource", done == ada)
        return ada

    def search(self, ada):
        found = self.scim.search(SearchRequest(filter='displayName sw "ada"', sort_by="displayName", count=10))
        self.report("search all types", [one.id for one in found.resources] == [ada.id])

    def bulk(self):
        User, Group, scim = self.User, self.Group, self.scim
        done = scim.bulk(BulkRequest[User | Group](fail_on_errors=1, operations=[
            BulkOperation[Group](method="POST", path="/Groups", bulk_id="team",
                                 data=Group(display_name="Team", members=[{"value": "bulkId:bob", "type": "User"}])),
            BulkOperation[User](method="POST", path="/Users", bulk_id="bob", data=User(user_name="bob@example.com")),
        ]))
        self.report("bulk", [operation.status for operation in done.operations] == [201, 201])
        team = scim.query(Group, query_parameters=SearchRequest(filter='displayName eq "Team"')).resources[0]
        bob = scim.query(User, query_parameters=SearchRequest(filter='userName eq "bob@example.com"')).resources[0]
        self.report("bulk resolves references", [member.value for member in team.members] == [bob.id])
        self.report("the user shows the group", [group.value for group in bob.groups] == [team.id])
        return [team, bob]

    def delete(self, resource):
        kind = type(resource)
        self.scim.delete(kind, resource.id)
        try:
            self.scim.query(kind, resource.id)
            self.report(f"delete a {kind.__name__}", False)
        except SCIMException as refusal:
            self.report(f"delete a {kind.__name__}", refusal.status == 404)


def main(url, *options):
    network = Client(base_url=url, headers={"Authorization": f"Bearer {os.environ['TOKEN']}"}, trust_env=False)
    with network:
        scenario = Scenario(SyncSCIMClient(network, raise_scim_errors=True))
        made = [scenario.users()]
        if "--without-search" not in options:
            scenario.search(made[0])
        if scenario.scim.provider.config.bulk.supported:
            made += scenario.bulk()
        for resource in made:
            scenario.delete(resource)
    print(f"{scenario.passed} passed, {scenario.failed} failed")
    return 1 if scenario.failed else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
