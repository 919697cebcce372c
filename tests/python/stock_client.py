"""An agent's work through a stock gRPC client: no generated code, only what reflection tells.

Registers an agent, creates a task, leases it, completes it, and tries to complete it again.
"""

import os

import grpc
from google.protobuf import descriptor_pool, json_format, message_factory
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase,
)

METADATA = (("authorization", "Bearer " + os.environ["REEVE_API_KEY"]),)


class Service:
    """One gRPC service, called by method name with plain dictionaries."""

    def __init__(self, address, name):
        self.channel = grpc.insecure_channel(address)
        pool = descriptor_pool.DescriptorPool(ProtoReflectionDescriptorDatabase(self.channel))
        self.service = pool.FindServiceByName(name)

    def call(self, method_name, request, timeout=30):
        method = self.service.methods_by_name[method_name]
        request_class = message_factory.GetMessageClass(method.input_type)
        response_class = message_factory.GetMessageClass(method.output_type)
        stub = self.channel.unary_unary(
            f"/{self.service.full_name}/{method_name}",
            request_serializer=request_class.SerializeToString,
            response_deserializer=response_class.FromString,
        )
        message = json_format.ParseDict(request, request_class())
        answer = stub(message, metadata=METADATA, timeout=timeout)
        return json_format.MessageToDict(answer)


def main():
    registry = os.environ["REEVE_AGENT_REGISTRY"]
    queue = os.environ["REEVE_TASK_QUEUE"]
    agents = Service(registry, "reeve.agent.v1.AgentService")
    tasks = Service(queue, "reeve.task.v1.TaskService")
    work = Service(queue, "reeve.task.v1.WorkService")

    registered = agents.call(
        "RegisterAgent",
        {
            "name": "stock-client",
            "type": "code",
            "capabilities": [{"name": "greet", "version": "1.0.0"}],
            "maxConcurrentTasks": 1,
        },
    )
    agent_id = registered["agent"]["id"]
    agents.call("Heartbeat", {"heartbeat": {"agentId": agent_id, "epoch": registered["epoch"]}})

    created = tasks.call(
        "CreateTask",
        {"spec": {"type": "greet", "parameters": {"name": "world"}}, "requestId": "stock-client-1"},
    )
    task_id = created["task"]["id"]
    again = tasks.call(
        "CreateTask",
        {"spec": {"type": "greet", "parameters": {"name": "world"}}, "requestId": "stock-client-1"},
    )
    assert again["task"]["id"] == task_id, "the same request_id made a second task"

    leased = work.call(
        "LeaseTasks", {"agentId": agent_id, "maxTasks": 1, "waitDuration": "20s", "start": True}
    )
    (lease,) = leased["leases"]
    assert lease["task"]["id"] == task_id
    name = lease["task"]["spec"]["parameters"]["name"]
    completion = {"leaseToken": lease["leaseToken"], "result": {"greeting": f"hello, {name}"}}
    work.call("CompleteTask", completion)
    work.call("CompleteTask", completion)

    found = tasks.call("GetTask", {"taskId": task_id})["task"]
    assert found["state"] == "TASK_STATE_COMPLETED", found
    assert found["result"] == {"greeting": "hello, world"}, found
    assert len(found["attempts"]) == 1, found

    try:
        work.call("CompleteTask", {"leaseToken": lease["leaseToken"] + "x", "result": {}})
    except grpc.RpcError as error:
        assert error.code() in (
            grpc.StatusCode.INVALID_ARGUMENT,
            grpc.StatusCode.FAILED_PRECONDITION,
        ), error
    else:
        raise AssertionError("a forged lease token was accepted")
    print("the task was completed exactly once")


if __name__ == "__main__":
    main()
