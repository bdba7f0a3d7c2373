"""A found schedule for where one samples: plain numbers, diffusers, ComfyUI, SDXL's and Wan's pairs."""

from studies.jobs.rooms import opened

__getattr__ = opened(__name__, {"ExportSettings": "settings", "Exported": "schedule", "export": "job"})
