"""What the vm suite does on the machine that runs it: find, unpack, build, boot, report."""
