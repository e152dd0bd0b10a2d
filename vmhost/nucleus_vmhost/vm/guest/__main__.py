"""How the guest starts: python3 -ISB /lib/nucleus/guest."""

from nucleus_vmhost.vm.guest.first import main

if __name__ == "__main__":
    main()
