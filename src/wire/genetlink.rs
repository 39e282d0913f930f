//! Generic netlink: finding a family by its name (`linux/genetlink.h`; IPVS-1).

use super::netlink::{Attributes, Batch, Body, Malformed, NLM_F_DUMP, NLM_F_REQUEST, NoRoom};

/// The family that knows the others.
const GENL_ID_CTRL: u16 = 0x10;
const CTRL_CMD_NEWFAMILY: u8 = 1;
const CTRL_CMD_GETFAMILY: u8 = 3;
const CTRL_ATTR_FAMILY_ID: u16 = 1;
const CTRL_ATTR_FAMILY_NAME: u16 = 2;
/// `struct genlmsghdr`: command, version, two bytes reserved.
const HEADER_LEN: usize = 4;
const VERSION: u8 = 1;

/// Adds a message of a family.
pub(super) fn message(
    batch: &mut Batch<'_>,
    (family, command): (u16, u8),
    flags: u16,
    seq: u32,
    fill: impl FnOnce(&mut Body<'_>),
) -> Result<(), NoRoom> {
    batch.message(family, flags, seq, |body| {
        body.bytes(&[command, VERSION, 0, 0]);
        fill(body);
    })
}

/// Command and attributes of a message.
pub(super) fn parse(payload: &[u8]) -> Result<(u8, Attributes<'_>), Malformed> {
    match (payload.first(), payload.get(HEADER_LEN..)) {
        (Some(command), Some(rest)) => Ok((*command, Attributes::new(rest))),
        _ => Err(Malformed::Short("genlmsghdr")),
    }
}

/// Asks for all families. To ask for one by its name makes the kernel wait for a module loader where it is
/// missing (`ctrl_getfamily`); a list never waits, so the loop does not either.
///
/// # Errors
/// No room in the batch.
pub fn emit_get_families(batch: &mut Batch<'_>, seq: u32) -> Result<(), NoRoom> {
    message(batch, (GENL_ID_CTRL, CTRL_CMD_GETFAMILY), NLM_F_REQUEST | NLM_F_DUMP, seq, |_| {})
}

/// The id of a family, where the message is about the one called `name`. It is used as message type, and is
/// another after each boot and each reload of the module.
///
/// # Errors
/// A message that is cut, or about `name` without an id (B-95).
pub fn parse_family(payload: &[u8], name: &str) -> Result<Option<u16>, Malformed> {
    let (command, attributes) = parse(payload)?;
    let (mut id, mut is_wanted) = (None, false);
    for attribute in attributes {
        let attribute = attribute?;
        match attribute.kind {
            CTRL_ATTR_FAMILY_ID => id = Some(attribute.u16()?),
            CTRL_ATTR_FAMILY_NAME => is_wanted = attribute.text() == name.as_bytes(),
            _ => {}
        }
    }
    match id {
        _ if !is_wanted || command != CTRL_CMD_NEWFAMILY => Ok(None),
        Some(id) => Ok(Some(id)),
        None => Err(Malformed::Missing("CTRL_ATTR_FAMILY_ID")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::netlink::{Message, Messages};
    use super::*;

    fn family(command: u8, id: Option<u16>, name: &str) -> Vec<u8> {
        let mut buffer = [0; 128];
        let mut batch = Batch::new(&mut buffer);
        message(&mut batch, (GENL_ID_CTRL, command), 0, 1, |body| {
            body.attribute(CTRL_ATTR_FAMILY_NAME, name.as_bytes());
            if let Some(id) = id {
                body.attribute_u16(CTRL_ATTR_FAMILY_ID, id);
            }
            body.attribute_u32(3, 1);
        })
        .unwrap();
        batch.bytes()[16..].to_vec()
    }

    #[test]
    fn request_is_a_dump_of_the_controller() {
        let mut buffer = [0; 64];
        let mut batch = Batch::new(&mut buffer);
        emit_get_families(&mut batch, 5).unwrap();
        let Message { kind, flags, payload, .. } = Messages::new(batch.bytes()).next().unwrap().unwrap();
        assert_eq!((kind, flags, payload), (0x10, 0x301, &[3u8, 1, 0, 0][..]));
    }

    #[test]
    fn the_wanted_family_is_found_whatever_the_order() {
        assert_eq!(parse_family(&family(1, Some(0x20), "IPVS\0"), "IPVS"), Ok(Some(0x20)));
        assert_eq!(parse_family(&family(1, Some(0x20), "IPVS"), "IPVS"), Ok(Some(0x20)), "no NUL");
        assert_eq!(parse_family(&family(1, Some(0x21), "IPVS2\0"), "IPVS"), Ok(None), "another name");
        assert_eq!(parse_family(&family(2, Some(0x20), "IPVS\0"), "IPVS"), Ok(None), "DELFAMILY");
    }

    #[test]
    fn b95_family_without_an_id_is_malformed() {
        assert_eq!(
            parse_family(&family(1, None, "IPVS\0"), "IPVS"),
            Err(Malformed::Missing("CTRL_ATTR_FAMILY_ID"))
        );
        assert!(parse_family(&[1, 1, 0], "IPVS").is_err(), "3 bytes are no header");
        assert!(parse_family(&[1, 1, 0, 0, 3, 0, 0, 0], "IPVS").is_err(), "an attribute of 3 bytes");
    }
}
