use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn vips() -> (Vips, Cidr) {
    let cidr = Cidr { address: "10.0.0.100".parse().unwrap(), prefix_len: 24 };
    let mut vips = Vips::new(&[cidr.into()]);
    vips.place(Instant::ZERO, |_| Some(3));
    vips.converge_at = None;
    (vips, cidr)
}

fn adds(actions: &mut Actions) -> usize {
    let n = actions.iter().filter(|a| matches!(a, Action::AddAddress { .. })).count();
    actions.clear();
    n
}

#[test]
fn a_vip_taken_away_comes_back_at_once_then_once_an_interval() {
    let (mut vips, cidr) = vips();
    let (now, mut actions) = (Instant::from_secs(1), Actions::new());
    vips.converge(now, true, None, &mut actions);
    assert_eq!(adds(&mut actions), 1);
    vips.handle_result(now, (3, &cidr), AddressOp::Add, Ok(()));
    assert_eq!(vips.handle_gone(now, (3, &cidr), true, SECOND, false), Noticed::Taken);
    vips.converge(now, true, None, &mut actions);
    assert_eq!(adds(&mut actions), 1, "RTNL-25: put back at once");
    vips.handle_result(now, (3, &cidr), AddressOp::Add, Ok(()));
    let soon = now + Duration::from_millis(10);
    vips.handle_gone(soon, (3, &cidr), true, SECOND, false);
    vips.converge(soon, true, None, &mut actions);
    assert_eq!(adds(&mut actions), 0, "two daemons that fight must not spin");
    let due = vips.next_deadline().unwrap();
    assert_eq!(due, now + SECOND, "within one advert interval");
    vips.converge(due, true, None, &mut actions);
    assert_eq!(adds(&mut actions), 1);
    assert_eq!(vips.iter().next().unwrap().put_back, 2, "counted for the status screen");
}

#[test]
fn our_own_removal_is_not_taken_for_somebody_elses() {
    let (mut vips, cidr) = vips();
    let (now, mut actions) = (Instant::from_secs(1), Actions::new());
    vips.converge(now, true, None, &mut actions);
    vips.handle_result(now, (3, &cidr), AddressOp::Add, Ok(()));
    vips.converge(now, false, None, &mut actions);
    vips.handle_result(now, (3, &cidr), AddressOp::Remove, Ok(()));
    assert!(vips.is_clean());
    // Active again before the kernel's notifications of before are read.
    vips.converge(now, true, None, &mut actions);
    vips.handle_result(now, (3, &cidr), AddressOp::Add, Ok(()));
    assert_eq!(vips.handle_gone(now, (3, &cidr), true, SECOND, false), Noticed::Nothing);
    assert_eq!(vips.iter().next().unwrap().put_back, 0);
}

#[test]
fn a_vip_on_a_backup_is_removed_but_the_owners_own_is_not() {
    let (mut vips, cidr) = vips();
    let (now, mut actions) = (Instant::from_secs(1), Actions::new());
    assert_eq!(vips.handle_present(now, (3, &cidr), true, false, false), Noticed::Stray, "RTNL-27");
    vips.converge(now, false, None, &mut actions);
    assert!(matches!(actions.take(), Some(Action::RemoveAddress { .. })));
    let (mut vips, cidr) = self::vips();
    assert_eq!(vips.handle_present(now, (3, &cidr), false, false, true), Noticed::Nothing);
    vips.converge(now, true, None, &mut actions);
    assert!(actions.is_empty(), "a lease on the operator's own address would take it from him");
    assert!(vips.is_clean());
}

#[test]
fn an_owners_address_that_we_removed_is_not_taken_for_there() {
    let (mut vips, cidr) = vips();
    let (now, mut actions) = (Instant::from_secs(1), Actions::new());
    vips.handle_present(now, (3, &cidr), true, false, true);
    vips.converge(now, false, None, &mut actions);
    // A dump from before the removal, with another view of who put it there.
    vips.handle_present(now, (3, &cidr), false, false, true);
    vips.handle_result(now, (3, &cidr), AddressOp::Remove, Ok(()));
    actions.clear();
    vips.converge(now, true, None, &mut actions);
    assert_eq!(adds(&mut actions), 1, "law 3: Active without its VIP, for ever");
}

#[test]
fn two_thousand_addresses_go_in_batches() {
    let cidrs: Vec<Cidr> = (0..2000u32)
        .map(|n| Cidr { address: std::net::Ipv4Addr::from(0x0a01_0000 + n).into(), prefix_len: 32 })
        .collect();
    let addresses: Vec<VirtualAddress> = cidrs.iter().map(|c| (*c).into()).collect();
    let (mut vips, now, mut actions) = (Vips::new(&addresses), Instant::from_secs(1), Actions::new());
    vips.place(now, |_| Some(3));
    let mut turns = 0;
    vips.wake(now);
    while vips.next_deadline().is_some() {
        vips.converge(now, true, None, &mut actions);
        turns += 1;
        while let Some(Action::AddAddress { cidr, .. }) = actions.take() {
            vips.handle_result(now, (3, &cidr), AddressOp::Add, Ok(()));
        }
        if vips.iter().all(|v| v.present) {
            break;
        }
    }
    assert_eq!(turns, 2000usize.div_ceil(limits::ADDRESS_BATCH), "an advert can leave between two batches");
}

#[test]
fn a_refused_renewal_does_not_forget_the_address() {
    let (mut vips, cidr) = vips();
    let (now, mut actions) = (Instant::from_secs(1), Actions::new());
    vips.converge(now, true, None, &mut actions);
    vips.handle_result(now, (3, &cidr), AddressOp::Add, Ok(()));
    vips.renew(0, None, &mut actions);
    vips.handle_result(now, (3, &cidr), AddressOp::Add, Err(Refusal::Busy));
    actions.clear();
    vips.converge(now, false, None, &mut actions);
    assert!(matches!(actions.take(), Some(Action::RemoveAddress { .. })), "it would stay on a Backup");
}

#[test]
fn a_failed_add_is_tried_again() {
    let (mut vips, cidr) = vips();
    let (now, mut actions) = (Instant::from_secs(1), Actions::new());
    vips.converge(now, true, None, &mut actions);
    let refused = vips.handle_result(now, (3, &cidr), AddressOp::Add, Err(Refusal::Busy));
    assert_eq!(refused, Answer::Refused(Refusal::Busy));
    adds(&mut actions);
    let due = vips.next_deadline().unwrap();
    vips.converge(due, true, None, &mut actions);
    assert_eq!(adds(&mut actions), 1, "law 5: a failed command is retried");
}

/// Without the peer the kernel does not know which address is meant: it stayed on the interface that had been
/// given another name.
#[test]
fn an_address_with_a_peer_leaves_a_renamed_interface_too() {
    let cidr = Cidr { address: "10.0.0.100".parse().unwrap(), prefix_len: 32 };
    let peer = Some(Cidr { address: "10.9.0.1".parse().unwrap(), prefix_len: 32 });
    let mut address: VirtualAddress = cidr.into();
    address.options.peer = peer;
    let mut vips = Vips::new(&[address]);
    let (now, mut actions) = (Instant::from_secs(1), Actions::new());
    vips.place(now, |_| Some(3));
    vips.converge(now, true, None, &mut actions);
    vips.handle_result(now, (3, &cidr), AddressOp::Add, Ok(()));
    actions.clear();
    vips.place(now, |_| Some(4));
    assert_eq!(vips.take_moved(&mut actions), [], "no other one would know its peer");
    let Some(Action::RemoveAddress { index, cidr: removed, peer: of }) = actions.take() else { panic!() };
    assert_eq!((index, removed, of), (3, cidr, peer));
}
