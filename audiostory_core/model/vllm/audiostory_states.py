"""A connector by which vLLM hands out hidden states: only those requested, and on a CPU too.

vLLM loads it by its file's name (`kv_connector_module_path`), from a folder of its PYTHONPATH.
vLLM's own `ExampleHiddenStatesConnector` writes a file for every request, a plan's included, and
copies through pinned memory, which a CPU has not.
"""

from functools import partial
from pathlib import Path

import torch
from vllm.distributed.kv_transfer.kv_connector.v1.base import KVConnectorMetadata
from vllm.distributed.kv_transfer.kv_connector.v1.example_hidden_states_connector import (
    ExampleHiddenStatesConnector,
    ExampleHiddenStatesConnectorMetadata,
    PendingSave,
    extract_from_kv_cache,
)
from vllm.v1.core.sched.output import SchedulerOutput

REQUEST_KEY = "audiostory_states"  # in a request's kv_transfer_params


class AudioStoryStates(ExampleHiddenStatesConnector):
    """Writes the states of a prompt [N, 1, H] where the request has `audiostory_states: true`."""

    def build_connector_meta(self, scheduler_output: SchedulerOutput) -> KVConnectorMetadata:
        """Forget the files of requests that want none: none is made for them, nor a lock."""
        metadata = super().build_connector_meta(scheduler_output)
        assert isinstance(metadata, ExampleHiddenStatesConnectorMetadata)
        for request in scheduler_output.scheduled_new_reqs:
            extra = (request.sampling_params and request.sampling_params.extra_args) or {}
            if not (extra.get("kv_transfer_params") or {}).get(REQUEST_KEY):
                self._request_filenames.pop(request.req_id, None)
                metadata.new_req_filenames.pop(request.req_id, None)
        return metadata

    def _submit_async_write(self, pending: PendingSave) -> None:
        """Write a request's states; on a CPU there is nothing to be copied first."""
        assert self._kv_cache is not None
        if self._kv_cache.is_cuda or not self._is_tp_rank_zero:
            super()._submit_async_write(pending)
            return
        blocks = torch.tensor(pending.block_ids, dtype=torch.long)
        slots = torch.arange(self._block_size)[None] + blocks[:, None] * self._block_size
        tokens = pending.token_ids.shape[0]
        # Indexing copies: the blocks may be given to another request before the file is written.
        states = extract_from_kv_cache(self._kv_cache, slots.flatten(), tokens).contiguous()
        tensors = {"hidden_states": states, "token_ids": pending.token_ids.clone()}
        Path(pending.filename).parent.mkdir(parents=True, exist_ok=True)
        done = _Done()
        lock = self._lock_fds.pop(pending.req_id, None)
        writing = self._executor.submit(self._write_tensors, tensors, done, pending.filename, lock)
        self._req_copy_events[pending.req_id] = done
        self._req_futures[pending.req_id] = writing
        writing.add_done_callback(partial(self._on_write_done, pending.req_id))


class _Done:
    """Stands where a GPU has the event that ends a copy."""

    def query(self) -> bool:
        return True

    def synchronize(self) -> None:
        pass
